import { Type } from "typebox"
import { badConfig, configSection, type SectionOf } from "../platform/config/config.ts"

// Keystone's own option names, so that its documents hold.
const securityCompliance = Type.Object({
  lockout_failure_attempts: Type.Integer({
    default: 0,
    minimum: 0,
    description: "Wrong passwords in a row that lock a user; 0 never locks.",
  }),
  lockout_duration: Type.Integer({
    default: 1800,
    minimum: 1,
    description: "Seconds that a lock lasts.",
  }),
  unique_last_password_count: Type.Integer({
    default: 0,
    minimum: 0,
    description: "A user may not set one of this many passwords again, the present one included.",
  }),
  minimum_password_age: Type.Integer({
    default: 0,
    minimum: 0,
    description: "Days before a user may change the password again.",
  }),
  password_expires_days: Type.Integer({
    default: 0,
    minimum: 0,
    description: "Days until a password expires; 0 never.",
  }),
  password_regex: Type.String({
    default: "",
    description: "A new password must match this regular expression; empty: any.",
  }),
  password_regex_description: Type.String({
    default: "",
    description: "Told to users whose password does not match.",
  }),
  disable_user_account_days_inactive: Type.Integer({
    default: 0,
    minimum: 0,
    description: "Days without a login that disable a user; 0 never.",
  }),
  change_password_upon_first_use: Type.Boolean({
    default: false,
    description: "A password that an administrator set must be changed before it is good for a token.",
  }),
})

const oauth1 = Type.Object({
  request_token_duration: Type.Integer({
    default: 28_800,
    minimum: 0,
    description: "Seconds in which a user may authorize an OAuth 1 request token; 0: for ever.",
  }),
  access_token_duration: Type.Integer({
    default: 86_400,
    minimum: 0,
    description: "Seconds for which an OAuth 1 access token is good; 0: for ever.",
  }),
})

export const identityConfig = configSection(
  "identity",
  Type.Object({
    isV2ApiEnabled: Type.Boolean({
      default: true,
      description:
        "Serves the few calls of the old v2.0 API (tokens, tenants) that documents of its time use.",
    }),
    tokenLifetimeSeconds: Type.Integer({
      default: 3600,
      minimum: 1,
      description: "How long a token is good for. Keystone: [token] expiration.",
    }),
    allowExpiredWindowSeconds: Type.Integer({
      default: 172_800,
      minimum: 0,
      description:
        "How long after its end a service may still validate a token with allow_expired, so that long work ends well.",
    }),
    tokenCacheSize: Type.Integer({
      default: 10_000,
      minimum: 0,
      description:
        "Validated tokens that a process remembers; about 2 KB each. Every identity change empties it.",
    }),
    tokenCacheSeconds: Type.Integer({
      default: 300,
      minimum: 1,
      description: "A remembered token is read again after this time, whatever else.",
    }),
    notification_format: Type.Unsafe<"basic" | "cadf">({
      type: "string",
      enum: ["basic", "cadf"],
      default: "cadf",
      description:
        "Content of notifications about changes: `basic` names the thing, `cadf` also who changed it and from where. Logins and role assignments always come as CADF.",
    }),
    notification_opt_out: Type.Array(Type.String(), {
      default: [],
      description:
        "Notifications that are not sent: `identity.user.created`, `identity.authenticate.success` … The audit log has them all the same.",
    }),
    isAuditLogKept: Type.Boolean({
      default: true,
      description: "Keeps a file of logins and changes on each host that serves the API, whatever is sent.",
    }),
    auditLogFile: Type.String({
      default: "",
      description: "The file, mode 0600. Empty: log/audit.log in the data directory.",
    }),
    auditLogBytesMax: Type.Integer({
      default: 50_000_000,
      minimum: 1_000,
      description: "A file that has grown beyond this is set aside as audit.log.1.",
    }),
    auditLogFilesKept: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 1000,
      description: "Files set aside that are kept; the oldest goes.",
    }),
    auditQueueMax: Type.Integer({
      default: 5_000,
      minimum: 1,
      description: "Records of logins that wait for the database; about 1 KB each. More are only counted.",
    }),
    auditFailuresPerMinuteMax: Type.Integer({
      default: 600,
      minimum: 0,
      description:
        "Failed logins that a process records one by one in a minute; more are counted and told as one record, so that guesses do not fill the database.",
    }),
    keySecretFile: Type.String({
      default: "",
      description:
        "File with the secret that the keys in the database are sealed with; the same on every host of the cloud. Empty: identity/key-secret in the data directory.",
    }),
    keyRotationSeconds: Type.Integer({
      default: 604_800,
      minimum: 0,
      description:
        "How long a key signs tokens and receipts before the next one does; 0: until `kumoi keys rotate`.",
    }),
    keysMax: Type.Integer({
      default: 64,
      minimum: 3,
      description:
        "Keys of a ring at the most: each one that is not yet retired is tried on a message that no newer one opens.",
    }),
    passwordHashCost: Type.Integer({
      default: 15,
      minimum: 4,
      maximum: 20,
      description:
        "Binary logarithm of scrypt's N; one more doubles the time and the memory (32 MB at 15) of each login.",
    }),
    passwordHashConcurrency: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 16,
      description:
        "Hashes at work at one time; 0: one less than there are processors, at least 1, at most 3.",
    }),
    passwordHashQueueMax: Type.Integer({
      default: 256,
      minimum: 1,
      description: "Logins that wait for a hash; more get 503 and should try again.",
    }),
    loginFailuresPerMinuteMax: Type.Integer({
      default: 600,
      minimum: 0,
      description:
        "Failed logins in a minute from one address; more get 429 until the minute is over. 0: no limit.",
    }),
    maxProjectTreeDepth: Type.Integer({
      default: 5,
      minimum: 1,
      description:
        "Levels of projects below a domain, the domain counted. Keystone: [DEFAULT] max_project_tree_depth.",
    }),
    listLimit: Type.Integer({
      default: 10_000,
      minimum: 1,
      description: "Rows of a list at the most; a longer one is cut and marked `truncated`.",
    }),
    endedDelegationsKeepMs: Type.Integer({
      default: 90 * 24 * 3_600_000,
      minimum: 60_000,
      description:
        "Trusts that were deleted or have expired, and expired OAuth 1 tokens, are kept this long.",
    }),
    unifiedLimitModel: Type.Unsafe<"flat" | "strict_two_level">({
      type: "string",
      enum: ["flat", "strict_two_level"],
      default: "flat",
      description:
        "How limits of domains bind those of their projects. Keystone: [unified_limit] enforcement_model.",
    }),
    oauth1,
    security_compliance: securityCompliance,
  }),
  ({ security_compliance: { password_regex } }) => checkRegex(password_regex),
)

function checkRegex(text: string): void {
  try {
    new RegExp(text)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw badConfig("identity.security_compliance.password_regex", why)
  }
}

declare module "../platform/config/config.ts" {
  interface Config {
    readonly identity: SectionOf<typeof identityConfig>
  }
}
