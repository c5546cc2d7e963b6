import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, jsonb, type Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { domainNoun } from "../domain/domain.ts"
import { found, notFound } from "../faults.ts"
import { find } from "../read.ts"
import { Extra } from "../shapes.ts"
import {
  badConfig,
  checkConfig,
  checkNames,
  type DomainConfig,
  defaultConfig,
  isSensitive,
} from "./options.ts"

const Place = Type.Object({
  domainId: Type.String(),
  group: Type.Optional(Type.String()),
  option: Type.Optional(Type.String()),
})

async function readConfig(db: DbOrTx, domainId: string): Promise<DomainConfig> {
  const rows = await db
    .selectFrom("identity.domain_config")
    .select(["section", "option", "value"])
    .where("domain_id", "=", domainId)
    .where("is_sensitive", "=", false)
    .orderBy("section")
    .orderBy("option")
    .execute()
  const config: DomainConfig = {}
  for (const row of rows) config[row.section] = { ...config[row.section], [row.option]: row.value }
  return config
}

async function writeConfig(tx: Tx, domainId: string, config: DomainConfig): Promise<void> {
  for (const [section, options] of Object.entries(config)) {
    for (const [option, value] of Object.entries(options)) {
      await tx
        .insertInto("identity.domain_config")
        .values({
          domain_id: domainId,
          section,
          option,
          value: jsonb(value),
          is_sensitive: isSensitive(section, option),
        })
        .onConflict((oc) =>
          oc.columns(["domain_id", "section", "option"]).doUpdateSet({ value: jsonb(value) }),
        )
        .execute()
    }
  }
}

async function requireDomain(ctx: Ctx, domainId: string): Promise<void> {
  found(await find(ctx.db, domainNoun, domainId), "domain", domainId)
}

/** A part of a configuration in the form that the path asks for; null when it is not there. */
function partOf(config: DomainConfig, group?: string, option?: string): Record<string, unknown> | null {
  if (group === undefined) return Object.keys(config).length > 0 ? config : null
  const options = config[group]
  if (!options) return null
  if (option === undefined) return { [group]: options }
  return Object.hasOwn(options, option) ? { [option]: options[option] } : null
}

function missing(domainId: string, group?: string, option?: string) {
  const what = option
    ? `option ${option} in group ${group}`
    : group
      ? `group ${group}`
      : "domain configuration"
  return notFound(what, `domain ${domainId}`)
}

/** All options at once; what was there goes. */
export const replaceDomainConfig = operation({
  name: "identity.domain_config.replace",
  input: Type.Object({ domainId: Type.String(), config: Extra }),
  faults: [notFound],
  rule: "identity:create_domain_config",
  run: async (ctx, { domainId, config }): Promise<{ config: DomainConfig; isNew: boolean }> => {
    await requireDomain(ctx, domainId)
    const checked = checkConfig(config)
    return await changeIdentity(ctx, async (tx) => {
      const gone = await tx
        .deleteFrom("identity.domain_config")
        .where("domain_id", "=", domainId)
        .returning("section")
        .execute()
      await writeConfig(tx, domainId, checked)
      await announce(ctx, tx, "domain_config", gone.length === 0 ? "created" : "updated", domainId)
      return { config: await readConfig(tx, domainId), isNew: gone.length === 0 }
    })
  },
})

export const getDomainConfig = operation({
  name: "identity.domain_config.get",
  input: Place,
  faults: [notFound],
  rules: ["identity:get_domain_config", "identity:get_security_compliance_domain_config"],
  authorize: (_ctx, { group }) => [
    [
      group === "security_compliance"
        ? "identity:get_security_compliance_domain_config"
        : "identity:get_domain_config",
      {},
    ],
  ],
  run: async (ctx, { domainId, group, option }): Promise<Record<string, unknown>> => {
    await requireDomain(ctx, domainId)
    if (group === "security_compliance") return securityCompliance(ctx, option)
    checkNames(group, option)
    const part = partOf(await readConfig(ctx.db, domainId), group, option)
    if (!part) throw missing(domainId, group, option)
    return part
  },
})

/** What a dashboard shows to users who choose a password; anyone may read it. */
function securityCompliance(ctx: Ctx, option: string | undefined): Record<string, unknown> {
  const { password_regex, password_regex_description } = ctx.config.identity.security_compliance
  const options = {
    password_regex: password_regex || null,
    password_regex_description: password_regex_description || null,
  }
  if (option === undefined) return { security_compliance: options }
  if (option === "password_regex") return { password_regex: options.password_regex }
  if (option === "password_regex_description")
    return { password_regex_description: options.password_regex_description }
  throw badConfig(`Reading security compliance option ${option} is not supported`)
}

export const updateDomainConfig = operation({
  name: "identity.domain_config.update",
  input: Type.Object({ ...Place.properties, config: Extra }),
  faults: [notFound],
  rule: "identity:update_domain_config",
  run: async (ctx, { domainId, group, option, config }): Promise<DomainConfig> => {
    await requireDomain(ctx, domainId)
    checkNames(group, option)
    const changes = changesOf(config, group, option)
    return await changeIdentity(ctx, async (tx) => {
      const before = await readConfig(tx, domainId)
      // A group or an option is changed by its own path only where it is.
      if (group !== undefined && !partOf(before, group, option)) throw missing(domainId, group, option)
      await writeConfig(tx, domainId, changes)
      await announce(ctx, tx, "domain_config", "updated", domainId)
      return await readConfig(tx, domainId)
    })
  },
})

function changesOf(config: Record<string, unknown>, group?: string, option?: string): DomainConfig {
  if (group === undefined) return checkConfig(config)
  if (option === undefined) {
    const names = Object.keys(config)
    if (names.length !== 1 || names[0] !== group)
      throw badConfig(`To update group ${group}, specify that group and no other in the config`)
    return checkConfig(config)
  }
  const names = Object.keys(config)
  if (names.length !== 1 || names[0] !== option)
    throw badConfig(`To update option ${option} in group ${group}, specify that option and no other`)
  return checkConfig({ [group]: config })
}

export const deleteDomainConfig = operation({
  name: "identity.domain_config.delete",
  input: Place,
  faults: [notFound],
  rule: "identity:delete_domain_config",
  run: async (ctx, { domainId, group, option }) => {
    await requireDomain(ctx, domainId)
    checkNames(group, option)
    await changeIdentity(ctx, async (tx) => {
      const gone = await sql`delete from identity.domain_config where domain_id = ${domainId}
        and ${group === undefined ? sql`true` : sql`section = ${group}`}
        and ${option === undefined ? sql`true` : sql`option = ${option}`} returning 1`.execute(tx)
      if (gone.rows.length === 0 && group !== undefined) throw missing(domainId, group, option)
      await announce(ctx, tx, "domain_config", "deleted", domainId)
    })
  },
})

export const getDefaultDomainConfig = operation({
  name: "identity.domain_config.get_default",
  input: Type.Object({ group: Type.Optional(Type.String()), option: Type.Optional(Type.String()) }),
  rule: "identity:get_domain_config_default",
  run: async (_ctx, { group, option }): Promise<Record<string, unknown>> => {
    checkNames(group, option)
    const part = partOf(defaultConfig, group, option)
    if (!part) throw badConfig(`Option ${option} in group ${group} is not supported`)
    return part
  },
})
