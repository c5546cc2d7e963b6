// Files that clients read: clouds.yaml and openrc.
import { join } from "node:path"
import { stringify } from "yaml"
import { type Passwords, writeWhole } from "./cloud-dir.ts"

export interface ClientFacts {
  url: string
  region: string
  passwords: Passwords
  /** The certificate of the cloud's own authority. */
  caFile: string | null
}

export type CloudUser = "admin" | "demo"

/** OS_* variables of a user, as `openstack` reads them. */
export function clientVariables(facts: ClientFacts, user: CloudUser): Record<string, string> {
  return {
    OS_AUTH_URL: `${facts.url}/identity/v3`,
    OS_IDENTITY_API_VERSION: "3",
    OS_AUTH_TYPE: "password",
    OS_USERNAME: user,
    OS_PASSWORD: facts.passwords[user],
    OS_PROJECT_NAME: user,
    OS_USER_DOMAIN_ID: "default",
    OS_PROJECT_DOMAIN_ID: "default",
    OS_REGION_NAME: facts.region,
    ...(facts.caFile === null ? {} : { OS_CACERT: facts.caFile }),
  }
}

export function shellExports(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join("")
}

function cloudEntry(facts: ClientFacts, user: CloudUser) {
  return {
    auth: {
      auth_url: `${facts.url}/identity/v3`,
      username: user,
      password: facts.passwords[user],
      project_name: user,
      user_domain_id: "default",
      project_domain_id: "default",
    },
    region_name: facts.region,
    identity_api_version: "3",
    interface: "public",
    ...(facts.caFile === null ? {} : { cacert: facts.caFile }),
  }
}

export function writeCredentials(directory: string, facts: ClientFacts): string {
  const systemAdmin = {
    auth: {
      auth_url: `${facts.url}/identity/v3`,
      username: "admin",
      password: facts.passwords.admin,
      user_domain_id: "default",
      system_scope: "all",
    },
    region_name: facts.region,
    identity_api_version: "3",
    interface: "public",
    ...(facts.caFile === null ? {} : { cacert: facts.caFile }),
  }
  const clouds = {
    "kumoi-admin": cloudEntry(facts, "admin"),
    "kumoi-demo": cloudEntry(facts, "demo"),
    "kumoi-system": systemAdmin,
  }
  const path = join(directory, "clouds.yaml")
  writeWhole(path, stringify({ clouds }), 0o600)
  for (const user of ["admin", "demo"] as const) {
    writeWhole(join(directory, `openrc-${user}`), shellExports(clientVariables(facts, user)), 0o600)
  }
  return path
}
