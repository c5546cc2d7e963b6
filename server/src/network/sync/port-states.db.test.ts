// What the engine says of ports, as it is written.
import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { FakeNetworkDriver } from "../driver/fake/fake-driver.ts"
import type { PortStateEvent } from "../driver/network-driver.ts"
import { insertPort, type NewPort } from "../port/insert.ts"
import { followPortStates } from "./port-states.ts"

/** Says what it is given, whatever it was told. */
class SayingDriver extends FakeNetworkDriver {
  readonly #events: readonly PortStateEvent[]

  constructor(events: readonly PortStateEvent[]) {
    super()
    this.#events = events
  }

  override async *portStates(signal: AbortSignal): AsyncIterable<PortStateEvent> {
    yield* this.#events
    const ended = Promise.withResolvers<void>()
    signal.addEventListener("abort", () => ended.resolve())
    await ended.promise
  }
}

test("a port that is bound nowhere is not made ACTIVE by what is heard of it late; a virtual one is", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const [networkId, subnetId] = [newUuid(), newUuid()]
  await sql`insert into network.network (id, project_id, mtu, provider_type, segmentation_id)
    values (${networkId}, 'p', 1442, 'geneve', 1)`.execute(db)
  await sql`insert into network.subnet (id, network_id, project_id, ip_version, cidr)
    values (${subnetId}, ${networkId}, 'p', 4, '10.1.0.0/24')`.execute(db)
  const makePort = async (ipAddress: string, more: Partial<NewPort> = {}) => {
    const fixedIps = [{ subnetId, ipAddress }]
    return await transact(db, async (tx) => {
      return (await insertPort(tx, { networkId, projectId: "p", fixedIps, ...more })).id
    })
  }
  const pairs = [{ ipAddress: "10.1.0.6", macAddress: "fa:16:3e:00:00:01" }]
  const letGo = await makePort("10.1.0.5")
  const virtual = await makePort("10.1.0.6")
  const bound = await makePort("10.1.0.7", { hostId: "host1", allowedAddressPairs: pairs })
  const said = [letGo, virtual, bound].map((portId) => ({ portId, isUp: true }))
  const drivers = { network: new SayingDriver(said) }
  const followed = followPortStates({ db, clock: systemClock, log: silentLogger, drivers })
  const statusOf = async (id: string) =>
    (await db.selectFrom("network.port").select("status").where("id", "=", id).executeTakeFirstOrThrow())
      .status
  await eventually("what is heard of last", async () => (await statusOf(bound)) === "ACTIVE")
  await followed[Symbol.asyncDispose]()
  assert.deepEqual([await statusOf(letGo), await statusOf(virtual)], ["DOWN", "ACTIVE"])
})
