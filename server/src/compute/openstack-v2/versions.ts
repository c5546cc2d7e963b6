// Version discovery: who speaks here, from which microversion to which.
import { Type } from "typebox"
import { all, each, links, one, shape, text } from "../../api/openstack/shape.ts"
import { routeNotServed } from "../../platform/http/faults.ts"
import type { MicroversionPlan } from "../../platform/http/microversion.ts"
import { type Route, route } from "../../platform/http/wire.ts"

export const microversions: MicroversionPlan = {
  serviceType: "compute",
  legacyHeader: "X-OpenStack-Nova-API-Version",
  min: "2.1",
  max: "2.96",
}

interface Version {
  id: string
  path: string
  status: string
  version: string
  min_version: string
  updated: string
  mediaType: string
}

const versions: readonly Version[] = [
  {
    id: "v2.0",
    path: "/v2/",
    status: "SUPPORTED",
    version: "",
    min_version: "",
    updated: "2011-01-21T11:33:21Z",
    mediaType: "application/vnd.openstack.compute+json;version=2",
  },
  {
    id: "v2.1",
    path: "/v2.1/",
    status: "CURRENT",
    version: microversions.max,
    min_version: microversions.min,
    updated: "2013-07-23T11:33:21Z",
    mediaType: "application/vnd.openstack.compute+json;version=2.1",
  },
]

function viewVersion(version: Version, baseUrl: string) {
  const { path, mediaType, ...shown } = version
  return { ...shown, links: [{ rel: "self", href: `${baseUrl}/compute${path}` }] }
}

function viewVersionDetail(version: Version, baseUrl: string) {
  const view = viewVersion(version, baseUrl)
  return {
    ...view,
    links: [...view.links, { rel: "describedby", type: "text/html", href: "http://docs.openstack.org/" }],
    "media-types": [{ base: "application/json", type: version.mediaType }],
  }
}

const members = { ...each("id status version min_version updated", text), links }
const media = Type.Array(Type.Object({ base: text, type: text }))

export const rootRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/",
    policy: "public",
    told: all("versions", shape("Version", members)),
    handler: async (ctx) => ({ versions: versions.map((version) => viewVersion(version, ctx.baseUrl)) }),
  }),
]

const told = one("version", shape("VersionDetail", { ...members, "media-types": media }))

/** The document of one version, at the root of the version itself; and of any, for who is logged in. */
export function versionRoutes(id: "v2.0" | "v2.1"): Route[] {
  const document = (wanted: string, baseUrl: string) => {
    const version = versions.find((each) => each.id === wanted)
    if (!version) throw routeNotServed()
    return { version: viewVersionDetail(version, baseUrl) }
  }
  return [
    route({
      method: "GET",
      path: "/",
      policy: "public",
      told,
      handler: async (ctx) => document(id, ctx.baseUrl),
    }),
    route({
      method: "GET",
      path: "/versions/{version_id}",
      policy: "authenticated",
      told,
      handler: async (ctx, req) => document(req.params.version_id ?? "", ctx.baseUrl),
    }),
  ]
}
