// The running cloud's side of `kumoi explain`.
import { explainServer, type ServerExplanation } from "../compute/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"
import { isUuid } from "../platform/ids/ids.ts"

export interface ExplainQuestion {
  kind: "server"
  id: string
}

export async function answerExplain(platform: Platform, question: unknown): Promise<ServerExplanation> {
  // Looked at below.
  const { kind, id } = (question ?? {}) as Record<string, unknown>
  if (kind !== "server" || typeof id !== "string")
    throw new Fault("invalid", "cli.explain_question", "That is no question about a server.")
  if (!isUuid(id)) throw new Fault("invalid", "cli.explain_question", `${id} is no id of a server.`)
  return await explainServer(platform, id)
}
