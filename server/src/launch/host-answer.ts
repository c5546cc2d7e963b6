// The running cloud's side of `kumoi host`.
import {
  adoptMachine,
  discardUnknownMachine,
  type Finding,
  type HostFindings,
  listUnknownMachines,
} from "../compute/index.ts"
import { findProject } from "../identity/index.ts"
import { internalCaller } from "../platform/auth/caller.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"

export type HostQuestion =
  | { action: "unknown"; host: string | null }
  | { action: "adopt"; id: string; project: string | null }
  | { action: "discard"; id: string }

/** A finding as it is shown: without the machine's whole record. */
export type ShownFinding = Omit<Finding, "machine">

export type HostAnswer =
  | { hosts: (Omit<HostFindings, "findings"> & { findings: ShownFinding[] })[] }
  | { adopted: { host: string; id: string; name: string; status: string; portsMissing: number } }
  | { discarded: ShownFinding }

export async function answerHost(platform: Platform, question: unknown): Promise<HostAnswer> {
  const asked = readQuestion(question)
  switch (asked.action) {
    case "unknown": {
      const hosts = await listUnknownMachines(platform, asked.host)
      return { hosts: hosts.map((host) => ({ ...host, findings: host.findings.map(shown) })) }
    }
    case "adopt":
      return { adopted: await adopt(platform, asked) }
    case "discard":
      return { discarded: shown(await discardUnknownMachine(platform, asked.id)) }
  }
}

function shown({ machine: _, ...finding }: Finding): ShownFinding {
  return finding
}

async function adopt(platform: Platform, { id, project }: { id: string; project: string | null }) {
  const hosts = await listUnknownMachines(platform, null)
  const finding = hosts.flatMap(({ findings }) => findings).find((each) => each.id === id)
  const projectId = project ?? finding?.projectId ?? null
  if (projectId !== null && !(await findProject(platform, projectId))) {
    throw new Fault(
      "invalid",
      "cli.project_unknown",
      `There is no project ${projectId}. Say whose the server is to be: --project ID`,
    )
  }
  const userId = internalCaller.userId
  const { host, server, portsMissing } = await adoptMachine(platform, { id, projectId, userId })
  return { host, id: server.id, name: server.name, status: server.vmState, portsMissing }
}

function readQuestion(question: unknown): HostQuestion {
  // Looked at below.
  const { action, id, host, project } = (question ?? {}) as Record<string, unknown>
  const textOrNull = (value: unknown) => (typeof value === "string" ? value : null)
  if (action === "unknown") return { action, host: textOrNull(host) }
  if (action === "adopt" && typeof id === "string") return { action, id, project: textOrNull(project) }
  if (action === "discard" && typeof id === "string") return { action, id }
  throw new Fault("invalid", "cli.host_question", "That is no question about hosts.")
}
