// No back end of this cloud keeps a second copy of a group elsewhere. What Cinder says of a group whose types do not
// ask for that is said; and a type that does ask for it finds no back end.
import { findThing } from "../../platform/noun/list.ts"
import { ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeTypeInvalid } from "../faults.ts"
import { groupTypeNoun, isReplicated } from "../group-type/group-type.ts"
import { everything, targetOf } from "../viewer.ts"
import { volumeTypeNoun } from "../volume-type/volume-type.ts"
import { groupInvalid, groupNotFound, groupTypeInvalid } from "./faults.ts"
import { visibleGroup } from "./read.ts"

const verb = (name: string) =>
  operation({
    name: `block_storage.group.${name}`,
    input: ThingInput,
    faults: [groupNotFound, groupInvalid, groupTypeInvalid, volumeTypeInvalid],
    load: (ctx, { id }) => visibleGroup(ctx, id),
    rule: `group:${name}`,
    target: (_ctx, _input, group) => targetOf(group),
    run: async (ctx, { id }, group): Promise<never> => {
      const type = await findThing(ctx.db, groupTypeNoun, everything, group.groupTypeId)
      if (!type || !isReplicated(type.groupSpecs))
        throw groupTypeInvalid(`Group ${id} is not a replication group type.`)
      for (const typeId of group.volumeTypeIds) {
        const volumeType = await findThing(ctx.db, volumeTypeNoun, everything, typeId)
        if (!/^<is>\s*true$/i.test(volumeType?.extraSpecs.replication_enabled ?? ""))
          throw volumeTypeInvalid(
            `Volume type ${typeId} does not have 'replication_enabled' spec key set to '<is> True'.`,
          )
      }
      throw groupInvalid(`Group ${id} lies on a back end that does not replicate.`)
    },
  })

export const enableReplication = verb("enable_replication")
export const disableReplication = verb("disable_replication")
export const failoverReplication = verb("failover_replication")
export const listReplicationTargets = verb("list_replication_targets")
