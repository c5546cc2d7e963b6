/** In Nova's words, which clients look for. */
export type MigrationStatus = "migrating" | "finished" | "confirmed" | "reverting" | "reverted" | "error"

/** A change of size, or a move to another host, of one server. */
export interface Migration {
  number: number
  id: string
  serverId: string
  projectId: string
  userId: string
  type: string
  status: string
  sourceHost: string
  destHost: string
  oldFlavorNumber: number
  newFlavorNumber: number
  createdAt: Date
  updatedAt: Date | null
}
