/** Who asks, as the token says. Made by identity, read by policy and services. */
export interface Caller {
  userId: string
  userName: string
  userDomainId: string
  userDomainName: string
  /** Set for a project-scoped token. */
  projectId: string | null
  projectName: string | null
  projectDomainId: string | null
  projectDomainName: string | null
  /** Whether the project itself acts as a domain, or names the admin project. */
  isAdminProject: boolean
  /** Set for a domain-scoped token. */
  domainId: string | null
  domainName: string | null
  /** `all` for a system-scoped token. */
  systemScope: "all" | null
  /** Role names with implied ones. */
  roles: readonly string[]
  roleIds: readonly string[]
  /** Facts of the token that identity's own operations need. */
  token: CallerToken | null
}

export interface CallerToken {
  /** The token text itself; never logged. */
  id: string
  auditIds: readonly string[]
  methods: readonly string[]
  expiresAt: Date
  issuedAt: Date
  trustId: string | null
  trustorUserId: string | null
  applicationCredentialId: string | null
  /** Of OAuth 1. */
  accessTokenId: string | null
  /** Unrestricted application credentials may make further ones and trusts. */
  isRestricted: boolean
}

/** The program acting for itself: sagas, reconcilers, start-up. Passes every policy check. */
export const internalCaller: Caller = {
  userId: "kumoi",
  userName: "kumoi",
  userDomainId: "default",
  userDomainName: "Default",
  projectId: null,
  projectName: null,
  projectDomainId: null,
  projectDomainName: null,
  isAdminProject: true,
  domainId: null,
  domainName: null,
  systemScope: "all",
  roles: ["admin", "member", "reader", "service"],
  roleIds: [],
  token: null,
}
