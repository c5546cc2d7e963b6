// The agent of one of the two hosts of `shared-sides.ts` in a process of its own, for tests that kill it: it carries out
// one command. Its streams go to a socket of the test's, each with its id in front.
//
//   node live-side-process.ts ROOT HOST SOCKET COMMAND    { name, args } as JSON
import { once } from "node:events"
import { connect } from "node:net"
import { SharedSides } from "./shared-sides.ts"

const [root = "", host = "", socketPath = "", command = ""] = process.argv.slice(2)
const sides = new SharedSides({
  root,
  dial: async (id) => {
    const socket = connect(socketPath)
    await once(socket, "connect")
    socket.write(`${id}\n`)
    return socket
  },
})
const side = host === "host1" ? sides.here : sides.there
await sides.openOne(side)
const { name, args } = JSON.parse(command)
await side.agent.handle(name, args)
process.stdout.write("done\n")
