// Server groups: rules about which servers share a host. The members are the servers that name the group.
export const groupPolicies = ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"] as const
export type GroupPolicy = (typeof groupPolicies)[number]

export interface ServerGroup {
  id: string
  projectId: string
  userId: string
  name: string
  policy: GroupPolicy
  /** Only with anti-affinity; null is one. */
  maxServersPerHost: number | null
  /** Ids of servers that are not deleted, oldest first. */
  memberIds: string[]
  createdAt: Date
}

/** What a group asks of the host that one of its servers goes to. */
export interface GroupPlacement {
  policy: GroupPolicy
  /** Host → members of the group on it. */
  members: ReadonlyMap<string, number>
  maxPerHost: number
}
