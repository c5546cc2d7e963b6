// Since which version of the protocol each command exists (ADR 45). A host is not sent what its program does not know.
//
// A new command gets the next version, which becomes `protocol.newest` of server/program.json with the first of a
// release. A field that is added to a command or an answer needs no version: who does not know it leaves it out or
// passes over it. Where that would do harm, the host says in its description that it knows it (`abilities`).
import { fault } from "../platform/fault/fault.ts"
import type { AgentCommands } from "./protocol.ts"

export const commandsSince: Readonly<Record<keyof AgentCommands, number>> = {
  "vm.ensure": 1,
  "vm.stop": 1,
  "vm.reboot": 1,
  "vm.pause": 1,
  "vm.unpause": 1,
  "vm.suspend": 1,
  "vm.destroy": 1,
  "vm.inspect": 1,
  "vm.plug": 1,
  "vm.unplug": 1,
  "vm.plug_volume": 1,
  "vm.unplug_volume": 1,
  "vm.console_log": 1,
  "vm.console": 1,
  "vm.diagnostics": 1,
  "vm.inject_nmi": 1,
  "vm.set_password": 1,
  "vm.snapshot": 1,
  "vm.upload_snapshot": 1,
  "vm.discard_snapshot": 1,
  "vm.send_disk": 1,
  "vm.receive_disk": 1,
  "vm.layout": 1,
  "vm.send_live": 1,
  "vm.receive_live": 1,
  "vm.stay": 1,
  "vm.live_progress": 1,
  "vm.hurry_live": 1,
  "vm.abort_live": 1,
  "host.uptime": 1,
  "host.log_level": 1,
  "host.epoch": 1,
  "host.unknown": 1,
  "host.discard": 1,
  "vm.set_aside": 1,
  "vm.take_back": 1,
  "host.serve_metadata": 1,
  "image.cache": 1,
  "image.uncache": 1,
  "image.cached": 1,
  "image.prune": 1,
  "host.describe": 1,
  "vm.list": 1,
  "volume.create": 1,
  "volume.create_together": 1,
  "volume.delete": 1,
  "volume.extend": 1,
  "volume.revert": 1,
  "volume.reimage": 1,
  "volume.recode": 2,
  "volume.upload": 1,
  "volume.unmanaged": 1,
  "volume.manage": 1,
  "volume.unmanage": 1,
  "volume.move": 1,
  "volume.send": 1,
  "volume.receive": 1,
  "volume.backup": 1,
  "volume.restore": 1,
  "volume.connect": 1,
  "volume.disconnect": 1,
  "volume.inspect": 1,
  "volume.list": 1,
}

/** Users read this: which host it is is not theirs to know. */
export const agentCommandTooNew = fault(
  "unsupported",
  "agent.command.too_new",
  (command: string, since: number) =>
    `The host runs an older program, which cannot do this (${command}, since protocol ${since}). It must be upgraded first.`,
)

/** Throws when an agent that speaks the protocol up to `version` does not know the command. */
export function checkCommandVersion(
  command: string,
  version: number,
  since: Readonly<Record<string, number>> = commandsSince,
): void {
  const first = Object.hasOwn(since, command) ? since[command] : undefined
  // What is no command the agent refuses itself.
  if (first !== undefined && first > version) throw agentCommandTooNew(command, first)
}
