// What a host shows the image store: it may read the images of the machines and volumes that it was told to make, and
// write the one that it was told to bring, for a while. Sealed, so that a host can neither make one nor change it.
import { openSealed, seal } from "../../identity/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { imageTicketRefused } from "../faults.ts"

export interface ImageTicket {
  host: string
  imageId: string
  verb: "read" | "write"
}

interface SealedTicket extends ImageTicket {
  expiresAt: number
}

/** `forMs`: how long the host may take over the command that it is for. */
export function imageTicket(platform: Platform, { host, imageId, verb }: ImageTicket, forMs: number): string {
  const expiresAt = platform.clock.now().getTime() + forMs
  return seal(platform, JSON.stringify({ host, imageId, verb, expiresAt } satisfies SealedTicket))
}

/** Throws unless the ticket was made for this host, image and verb, and not too long ago. */
export function checkImageTicket(platform: Platform, asked: ImageTicket & { ticket: string }): void {
  const { ticket, host, imageId, verb } = asked
  const opened = openSealed(platform, ticket)
  if (opened === null) throw imageTicketRefused(imageId)
  // Whatever else is sealed under these keys is no ticket.
  const found = parseTicket(opened)
  const isRight =
    found?.host === host &&
    found.imageId === imageId &&
    found.verb === verb &&
    typeof found.expiresAt === "number" &&
    found.expiresAt > platform.clock.now().getTime()
  if (!isRight) throw imageTicketRefused(imageId)
}

function parseTicket(text: string): Partial<SealedTicket> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === "object" && parsed !== null ? parsed : undefined
  } catch {
    return undefined
  }
}
