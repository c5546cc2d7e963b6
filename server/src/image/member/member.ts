export const memberStatuses = ["pending", "accepted", "rejected"] as const
export type MemberStatus = (typeof memberStatuses)[number]

/** A project that an image is shared with, and what it says to that. */
export interface Member {
  imageId: string
  memberId: string
  status: MemberStatus
  createdAt: Date
  updatedAt: Date
}
