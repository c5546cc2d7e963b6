// Options that a domain may have of its own, under Keystone's names. They are kept for administrators and tools;
// users live in the database whatever the driver is said to be.
import type { Fault } from "../../platform/fault/fault.ts"
import { forbidden } from "../faults.ts"

export type ConfigGroup = Record<string, unknown>
export type DomainConfig = Record<string, ConfigGroup>

const ldapDefaults: ConfigGroup = {
  url: "ldap://localhost",
  user: null,
  suffix: "cn=example,cn=com",
  query_scope: "one",
  page_size: 0,
  alias_dereferencing: "default",
  debug_level: null,
  chase_referrals: null,
  user_tree_dn: null,
  user_filter: null,
  user_objectclass: "inetOrgPerson",
  user_id_attribute: "cn",
  user_name_attribute: "sn",
  user_mail_attribute: "mail",
  user_description_attribute: "description",
  user_pass_attribute: "userPassword",
  user_enabled_attribute: "enabled",
  user_enabled_invert: false,
  user_enabled_mask: 0,
  user_enabled_default: "True",
  user_attribute_ignore: ["default_project_id"],
  user_default_project_id_attribute: null,
  user_enabled_emulation: false,
  user_enabled_emulation_dn: null,
  user_enabled_emulation_use_group_config: false,
  user_additional_attribute_mapping: [],
  group_tree_dn: null,
  group_filter: null,
  group_objectclass: "groupOfNames",
  group_id_attribute: "cn",
  group_name_attribute: "ou",
  group_member_attribute: "member",
  group_members_are_ids: false,
  group_desc_attribute: "description",
  group_attribute_ignore: [],
  group_additional_attribute_mapping: [],
  group_ad_nesting: false,
  tls_cacertfile: null,
  tls_cacertdir: null,
  use_tls: false,
  tls_req_cert: "demand",
  use_pool: true,
  pool_size: 10,
  pool_retry_max: 3,
  pool_retry_delay: 0.1,
  pool_connection_timeout: -1,
  pool_connection_lifetime: 600,
  use_auth_pool: true,
  auth_pool_size: 100,
  auth_pool_connection_lifetime: 60,
}

export const defaultConfig: DomainConfig = {
  identity: { driver: "sql", list_limit: null },
  ldap: ldapDefaults,
}

/** Taken but never shown. */
const sensitive: Readonly<Record<string, readonly string[]>> = { ldap: ["password"] }

export function isSensitive(group: string, option: string): boolean {
  return sensitive[group]?.includes(option) ?? false
}

/** Throws for a group or an option that no domain may have. */
export function checkNames(group?: string, option?: string): void {
  if (group === undefined) return
  if (!Object.hasOwn(defaultConfig, group)) {
    throw badConfig(`Group ${group} is not supported for domain specific configurations`)
  }
  if (option === undefined || isSensitive(group, option)) return
  if (!Object.hasOwn(defaultConfig[group] ?? {}, option)) {
    throw badConfig(`Option ${option} in group ${group} is not supported for domain specific configurations`)
  }
}

export function badConfig(why: string): Fault {
  return forbidden(`Invalid domain specific configuration: ${why}.`)
}

/** The whole configuration that a client sent, or an error that names what is wrong. */
export function checkConfig(config: Record<string, unknown>): DomainConfig {
  if (Object.keys(config).length === 0) throw badConfig("No options specified")
  const checked: DomainConfig = {}
  for (const [group, options] of Object.entries(config)) {
    checkNames(group)
    if (typeof options !== "object" || options === null || Object.keys(options).length === 0)
      throw badConfig(`The value of group ${group} specified in the config should be a dictionary of options`)
    for (const option of Object.keys(options)) checkNames(group, option)
    checked[group] = { ...options }
  }
  return checked
}
