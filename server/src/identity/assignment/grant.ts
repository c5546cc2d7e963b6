// A role for a user or a group on a project, a domain or the system, for the place itself or for all below it.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { changeIdentity } from "../change.ts"
import { forbidden, found, notFound } from "../faults.ts"
import { type Group, groupNoun, groupTarget } from "../group/group.ts"
import { type Project, projectNoun } from "../project/project.ts"
import { everyone, find } from "../read.ts"
import { type Role, roleNoun, roleTarget } from "../role/role.ts"
import { type User, userNoun } from "../user/user.ts"
import { announceGrant } from "./announce.ts"
import { Grant, GrantHolder } from "./holder.ts"

interface Parties {
  user: User | null
  group: Group | null
  place: Project | null
  role: Role | null
}

/** Keystone's two ways: 404 before 403 but for inherited grants. */
async function loadParties(ctx: Ctx, input: GrantHolder & { roleId?: string }): Promise<Parties> {
  const parties = await findParties(ctx, input)
  if (!input.isInherited) requireParties(input, parties)
  return parties
}

/** The holder may be gone when a grant is taken away. */
async function loadRevoked(ctx: Ctx, input: Grant): Promise<Parties> {
  const parties = await findParties(ctx, input)
  if (!input.isInherited) requirePlaceAndRole(input, parties)
  return parties
}

async function findParties(ctx: Ctx, input: GrantHolder & { roleId?: string }): Promise<Parties> {
  const place = input.targetId === null ? null : await find(ctx.db, projectNoun, input.targetId)
  return {
    user: input.actorKind === "user" ? await find(ctx.db, userNoun, input.actorId) : null,
    group: input.actorKind === "group" ? await find(ctx.db, groupNoun, input.actorId) : null,
    place: place?.isDomain === (input.targetKind === "domain") ? place : null,
    role: input.roleId === undefined ? null : await find(ctx.db, roleNoun, input.roleId),
  }
}

function grantTarget({ user, group, place, role }: Parties): PolicyTarget {
  return {
    target: {
      ...(user ? { user: { id: user.id, domain_id: user.domainId } } : groupTarget(group)),
      ...(place?.isDomain ? { domain: { id: place.id } } : {}),
      ...(place && !place.isDomain ? { project: { id: place.id, domain_id: place.domainId } } : {}),
      ...roleTarget(role),
    },
  }
}

/** All parties are there; throws 404 that names the missing one. */
function requireParties(input: GrantHolder & { roleId?: string }, parties: Parties): void {
  if (input.roleId !== undefined) found(parties.role, "role", input.roleId)
  if (input.actorKind === "user") found(parties.user, "user", input.actorId)
  else found(parties.group, "group", input.actorId)
  requirePlaceAndRole(input, parties)
}

function requirePlaceAndRole(input: GrantHolder & { roleId?: string }, parties: Parties): void {
  if (input.roleId !== undefined) found(parties.role, "role", input.roleId)
  if (input.targetId !== null) found(parties.place, input.targetKind, input.targetId)
}

/** On a project a domain's own role must be of the project's domain. Of domains Keystone does not ask that. */
function checkRoleDomain(input: GrantHolder, { role, place }: Parties): void {
  if (!role?.domainId) return
  if (input.targetKind === "system")
    throw forbidden(`Role ${role.id} is specific to a domain and cannot be assigned on the system.`)
  if (input.targetKind === "project" && place?.domainId !== role.domainId) {
    throw forbidden(
      `The role ${role.id} is specific to the domain ${role.domainId} and cannot be assigned in another one.`,
    )
  }
}

function whereGrant(input: Grant) {
  return sql`a.${sql.ref(input.actorKind === "user" ? "user_id" : "group_id")} = ${input.actorId}
    and a.target_kind = ${input.targetKind} and a.target_id is not distinct from ${input.targetId}
    and a.role_id = ${input.roleId} and a.is_inherited = ${input.isInherited}`
}

function noSuchGrant(input: Grant) {
  return notFound(
    "role assignment with role",
    `${input.roleId}, ${input.actorKind} ${input.actorId}, ${input.targetKind} ${input.targetId ?? "all"}`,
  )
}

/** What stood on the roles as they were does not survive: an application credential is made anew with what is left. */
async function dropApplicationCredentials(tx: Tx, input: GrantHolder): Promise<void> {
  if (input.targetKind !== "project" || input.actorKind !== "user") return
  await tx
    .deleteFrom("identity.application_credential")
    .where("user_id", "=", input.actorId)
    .where("project_id", "=", input.targetId ?? "")
    .execute()
}

/** Rules of grants on projects and domains are about who and where; those of the system are about nothing. */
function verbsOf(noun: string, ruleOf: (verb: string) => string, target: (parties: Parties) => PolicyTarget) {
  const about = (_ctx: Ctx, _input: unknown, parties: Parties) => target(parties)
  return {
    create: operation({
      name: `identity.${noun}.create`,
      input: Grant,
      faults: [notFound, forbidden],
      load: loadParties,
      rule: ruleOf("create"),
      target: about,
      run: async (ctx, input, parties) => {
        requireParties(input, parties)
        checkRoleDomain(input, parties)
        await changeIdentity(ctx, async (tx) => {
          await tx
            .insertInto("identity.assignment")
            .values({
              user_id: input.actorKind === "user" ? input.actorId : null,
              group_id: input.actorKind === "group" ? input.actorId : null,
              target_kind: input.targetKind,
              target_id: input.targetId,
              role_id: input.roleId,
              is_inherited: input.isInherited,
            })
            .onConflict((oc) => oc.doNothing())
            .execute()
          await announceGrant(ctx, tx, "created", input)
        })
      },
    }),
    check: operation({
      name: `identity.${noun}.check`,
      input: Grant,
      faults: [notFound],
      load: loadParties,
      rule: ruleOf("check"),
      target: about,
      run: async (ctx, input, parties) => {
        requireParties(input, parties)
        const rows = await sql`select 1 from identity.assignment a where ${whereGrant(input)}`.execute(ctx.db)
        if (rows.rows.length === 0) throw noSuchGrant(input)
      },
    }),
    revoke: operation({
      name: `identity.${noun}.revoke`,
      input: Grant,
      faults: [notFound],
      load: loadRevoked,
      rule: ruleOf("revoke"),
      target: about,
      run: async (ctx, input, parties) => {
        requireParties(input, parties)
        await changeIdentity(ctx, async (tx) => {
          const gone =
            await sql`delete from identity.assignment a where ${whereGrant(input)} returning 1`.execute(tx)
          if (gone.rows.length === 0) throw noSuchGrant(input)
          await dropApplicationCredentials(tx, input)
          await announceGrant(ctx, tx, "deleted", input)
        })
      },
    }),
    list: operation({
      name: `identity.${noun}.list`,
      input: GrantHolder,
      faults: [notFound],
      load: loadParties,
      rule: ruleOf("list"),
      target: about,
      run: async (ctx, input, parties): Promise<Role[]> => {
        requireParties(input, parties)
        const granted = sql<boolean>`r.id in (select a.role_id from identity.assignment a where a.${sql.ref(input.actorKind === "user" ? "user_id" : "group_id")} = ${input.actorId}
        and a.target_kind = ${input.targetKind} and a.target_id is not distinct from ${input.targetId}
          and a.is_inherited = ${input.isInherited})`
        return await listThings(ctx.db, roleNoun, everyone, { also: [granted] })
      },
    }),
  }
}

const systemVerbs = (kind: GrantHolder["actorKind"]) =>
  verbsOf(
    `system_grant_for_${kind}`,
    (verb) => `identity:${verb}_system_${verb === "list" ? "grants" : "grant"}_for_${kind}`,
    () => ({}),
  )

/** By where the role is granted; on the system also by to whom. */
export const grantVerbs = {
  place: verbsOf("grant", (verb) => `identity:${verb}_${verb === "list" ? "grants" : "grant"}`, grantTarget),
  system: { user: systemVerbs("user"), group: systemVerbs("group") },
}
