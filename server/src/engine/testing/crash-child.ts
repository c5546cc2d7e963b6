// A worker process that the crash tests kill or pause: runs one saga of the test world.
//   node crash-child.ts CONNECTION RESOURCE FAIL_AT|- KILL_AT|- STOP_BEFORE|-
// KILL_AT counts the moments before and after each log write, from 0; there it ends itself by SIGKILL. STOP_BEFORE
// names the step before whose command it pauses itself by SIGSTOP. Prints how its run of the saga ended.
import { openDatabase, transact } from "../../platform/db/database.ts"
import { testPlatform } from "./platform.ts"
import { World, worldSaga } from "./world.ts"

const [connectionString = "", resource = "", failAt = "-", killAt = "-", stopBefore = "-"] =
  process.argv.slice(2)

let moment = 0
const probe = () => {
  if (String(moment++) === killAt) process.kill(process.pid, "SIGKILL")
}
let hasStopped = false
const beforePut = (step: string) => {
  if (step !== stopBefore || hasStopped) return
  hasStopped = true
  process.kill(process.pid, "SIGSTOP")
}

const { db } = openDatabase({ connectionString, poolMax: 4 })
const world = new World(connectionString)
const made = worldSaga(world, beforePut)
const platform = testPlatform(db, { probe, config: { sagaLeaseMs: 300 } })
const working = await platform.sagas.work(platform, [made])
const params = failAt === "-" ? { resource } : { resource, failAt }
const id = await transact(db, (tx) => platform.sagas.start(tx, made, params, { resourceId: resource }))
await platform.sagas.waitForSaga(db, id)
await platform.sagas.whenIdle()
process.stdout.write("ended\n")
await working[Symbol.asyncDispose]()
await world[Symbol.asyncDispose]()
await db.destroy()
