// Grants have one shape on seven paths: who (user, group), where (project, domain, system), and whether it is for
// what lies below only (OS-INHERIT).

import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { type GrantHolder, grantVerbs } from "../index.ts"
import { membershipRoutes } from "./membership.ts"
import { viewRole } from "./roles.ts"
import { listOf } from "./told.ts"
import { listReply } from "./view.ts"

type TargetKind = GrantHolder["targetKind"]
type ActorKind = GrantHolder["actorKind"]

interface Place {
  targetKind: TargetKind
  actorKind: ActorKind
  isInherited: boolean
  /** Of the list of roles. */
  path: string
}

const targets: readonly TargetKind[] = ["project", "domain", "system"]
const actors: readonly ActorKind[] = ["user", "group"]

const places: readonly Place[] = targets.flatMap((targetKind) =>
  actors.flatMap((actorKind): Place[] => {
    const target = targetKind === "system" ? "/system" : `/${targetKind}s/{${targetKind}_id}`
    const path = `${target}/${actorKind}s/{${actorKind}_id}/roles`
    const plain = { targetKind, actorKind, isInherited: false, path }
    return targetKind === "system"
      ? [plain]
      : [plain, { ...plain, isInherited: true, path: `/OS-INHERIT${path}` }]
  }),
)

export const grantRoutes: readonly Route[] = places.flatMap((place) => {
  const verbs = place.targetKind === "system" ? grantVerbs.system[place.actorKind] : grantVerbs.place
  const suffix = place.isInherited ? "/inherited_to_projects" : ""
  const one = `${place.path}/{role_id}${suffix}`
  const input = (req: WireRequest) => ({ ...readHolder(place, req), roleId: req.params.role_id ?? "" })
  const list = route({
    method: "GET",
    path: `${place.path}${suffix}`,
    operation: verbs.list,
    told: listOf("roles", viewRole.shows),
    handler: async (ctx, req) => {
      const rows = await verbs.list(ctx, readHolder(place, req))
      return listReply(ctx, req, "roles", rows, viewRole)
    },
  })
  const single = membershipRoutes(one, { ...verbs, remove: verbs.revoke }, input)
  // Keystone has no list of what is inherited from a project.
  return place.isInherited && place.targetKind === "project" ? single : [list, ...single]
})

function readHolder(place: Place, req: WireRequest): GrantHolder {
  return {
    actorKind: place.actorKind,
    actorId: req.params[`${place.actorKind}_id`] ?? "",
    targetKind: place.targetKind,
    targetId: place.targetKind === "system" ? null : (req.params[`${place.targetKind}_id`] ?? ""),
    isInherited: place.isInherited,
  }
}
