// What operators do with hosts.
import { Type } from "typebox"
import { countVolumesOfHost, forgetHostPools } from "../../block-storage/index.ts"
import { removeHostProvider } from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { forgetAggregateHost } from "../aggregate/store.ts"
import { hostHasServers, hostHasVolumes, hostIsUp, hostNotFound, hostVerbUnsupported } from "../faults.ts"
import { everything } from "../viewer.ts"
import { type Host, hostNoun, isHostUp } from "./host.ts"
import { loadHost } from "./read.ts"
import { selectHost, selectHosts, selectServersOfHost } from "./store.ts"

const HostInput = Type.Object({ host: Type.String() })

function updating(verb: string, rule: string) {
  return operation({
    name: `compute.host.${verb}`,
    input: Type.Object({ host: Type.String(), changes: hostNoun.changes }),
    faults: [hostNotFound],
    load: loadHost,
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: async (ctx, { changes }, host) => {
      const changed = await updateThing(ctx.db, hostNoun, everything, host.id, {
        is_disabled: changes.isDisabled,
        disabled_reason: changes.disabledReason,
        is_forced_down: changes.isForcedDown,
        updated_at: ctx.clock.now(),
      })
      if (!changed) throw hostNotFound(host.name)
      return changed
    },
  })
}

export const updateComputeHost = updating("update", "os-services:update")
/** The same as it was before there were services. */
export const updateOldHost = updating("update_old", "os-hosts:update")

/** Of the host as a machine. Nova's driver for QEMU does none of these either, so there is only the refusal. */
function command(verb: string, rule = verb) {
  return operation({
    name: `compute.host.${verb}`,
    input: HostInput,
    faults: [hostNotFound, hostVerbUnsupported],
    rule: `os_compute_api:os-hosts:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: async (ctx, input) => {
      await loadHost(ctx, input)
      throw hostVerbUnsupported()
    },
  })
}

export const hostCommands = {
  start: command("start"),
  shutdown: command("shutdown"),
  reboot: command("reboot"),
  maintain: command("maintain", "update"),
}

/** For a host that is gone for good. */
export const deleteComputeHost = operation({
  name: "compute.host.delete",
  input: HostInput,
  faults: [hostNotFound, hostHasServers, hostHasVolumes, hostIsUp],
  load: loadHost,
  rule: "os_compute_api:os-services:delete",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: (ctx, _input, host) =>
    transact(ctx.db, async (tx) => {
      await refuseUsed(tx, host)
      if (isHostUp(host, ctx.config.compute.serviceDownAfterMs)) throw hostIsUp(host.name)
      await deleteHost(tx, host)
    }),
})

async function refuseUsed(tx: Tx, host: Host): Promise<void> {
  if ((await selectServersOfHost(tx, host.name)).length > 0) throw hostHasServers()
  const { volumes, snapshots } = await countVolumesOfHost(tx, host.name)
  if (volumes + snapshots > 0) throw hostHasVolumes(host.name, volumes, snapshots)
}

async function deleteHost(tx: Tx, host: Host): Promise<void> {
  await removeHostProvider(tx, host.id)
  await forgetAggregateHost(tx, host.name)
  await forgetHostPools(tx, host.name)
  await tx.deleteFrom("compute.host").where("id", "=", host.id).execute()
}

/** By the operator, also of a host that is up: `silence` sees to it that it does not report itself back. */
export async function removeComputeHost(
  { db }: Platform,
  name: string,
  silence: () => Promise<void>,
): Promise<void> {
  await transact(db, async (tx) => {
    const host = await selectHost(tx, name)
    if (host) await refuseUsed(tx, host)
    await silence()
    if (host) await deleteHost(tx, host)
  })
}

/** Hosts that have ended, all or none; throws while there are servers or volumes on one of them. */
export async function removeComputeHosts({ db }: Platform, names: readonly string[]): Promise<void> {
  await transact(db, async (tx) => {
    for (const host of await selectHosts(tx, { filters: { name: names } })) {
      await refuseUsed(tx, host)
      await deleteHost(tx, host)
    }
  })
}

/** By the operator. With a reason no new server comes to the host; with null they may again. False: no such host. */
export async function setHostDisabled(
  platform: Platform,
  name: string,
  reason: string | null,
): Promise<boolean> {
  const host = await selectHost(platform.db, name)
  if (!host) return false
  await updateThing(platform.db, hostNoun, everything, host.id, {
    is_disabled: reason !== null,
    disabled_reason: reason || null,
    updated_at: platform.clock.now(),
  })
  return true
}
