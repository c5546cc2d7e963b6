// Connections to the sockets on which QEMU shows a machine's screen and its first serial line.
import { connect, type Socket } from "node:net"
import { agentMachineStateWrong } from "../../faults.ts"
import type { ConsoleKind } from "../../protocol.ts"
import type { RunDirectory } from "./run-directory.ts"

export async function connectConsole(directory: RunDirectory, kind: ConsoleKind): Promise<Socket> {
  const socket = connect(kind === "vnc" ? directory.vncSocket : directory.serialSocket)
  return await new Promise<Socket>((resolve, reject) => {
    socket.once("connect", () => {
      socket.removeAllListeners("error")
      resolve(socket)
    })
    // The machine has just ended, or is only beginning.
    socket.once("error", (cause) =>
      reject(Object.assign(agentMachineStateWrong("open a console of", "shutdown"), { cause })),
    )
  })
}
