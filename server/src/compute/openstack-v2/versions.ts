// Version discovery: who speaks here, from which microversion to which.
import { Type } from "typebox"
import { all, each, links, one, shape, text } from "../../api/openstack/shape.ts"
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

/** The document of one version, at the root of the version itself. */
export function versionRoutes(id: "v2.0" | "v2.1"): Route[] {
  return versions
    .filter((version) => version.id === id)
    .map((version) =>
      route({
        method: "GET",
        path: "/",
        policy: "public",
        told: one("version", shape("VersionDetail", { ...members, "media-types": media })),
        handler: async (ctx) => ({ version: viewVersionDetail(version, ctx.baseUrl) }),
      }),
    )
}
