// What hangs below a server: metadata, addresses, interfaces, groups, actions, diagnostics.

import { type Static, Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { type Table, view } from "../../api/openstack/view.ts"
import { listSecurityGroups, type ServerPort } from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { pageUrl } from "../../platform/http/paging.ts"
import { queryText } from "../../platform/http/query.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed } from "../../platform/schema/make.ts"
import {
  attachInterface,
  badRequest,
  clearGuestPassword,
  createServerMetadata,
  deleteServerMetadataItem,
  detachInterface,
  getDiagnostics,
  hostIdOf,
  listServerActions,
  listServerAddresses,
  listServerAddressesOfNetwork,
  listServerInterfaces,
  listServerMetadata,
  listServerSecurityGroups,
  metadataItemNotFound,
  networkNotOfServer,
  replaceServerMetadata,
  type ServerAction,
  type ShownAction,
  showGuestPassword,
  showServerAction,
  showServerInterface,
  showServerMetadataItem,
  showServerTopology,
  updateServerMetadataItem,
} from "../index.ts"
import { diagnostics, viewDiagnostics, viewDiagnosticsLegacy } from "./diagnostics-view.ts"
import { readMarked } from "./next-link.ts"
import { type Since, toldQuery } from "./query-names.ts"
import { bodyWith, ipAddress, metadata, tag, uuid } from "./schema-parts.ts"
import { groupNames, shownGroup, viewGroup } from "./security-groups.ts"
import { readPeriod } from "./server-query.ts"
import { briefAddresses, viewAddresses } from "./server-view.ts"
import { serverTopology, viewTopology } from "./topology-view.ts"

const { all, from, links, many, one, rare, shape, text, textMap, textOrNull } = is

const idOf = (req: WireRequest) => req.params.server_id ?? ""

const oneItem = Type.Unsafe<Static<typeof metadata>>({ ...metadata, minProperties: 1, maxProperties: 1 })
const metaItem = bodyWith("meta", oneItem)

const metadataRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/metadata",
    operation: listServerMetadata,
    told: one("metadata", textMap),
    handler: async (ctx, req) => ({
      metadata: (await listServerMetadata(ctx, { serverId: idOf(req) })).server.metadata,
    }),
  }),
  route({
    method: "POST",
    path: "/servers/{server_id}/metadata",
    operation: createServerMetadata,
    told: one("metadata", textMap),
    body: bodyWith("metadata", metadata),
    handler: async (ctx, req) => ({
      metadata: await createServerMetadata(ctx, { serverId: idOf(req), items: req.body.metadata }),
    }),
  }),
  route({
    method: "PUT",
    path: "/servers/{server_id}/metadata",
    operation: replaceServerMetadata,
    told: one("metadata", textMap),
    body: bodyWith("metadata", metadata),
    handler: async (ctx, req) => ({
      metadata: await replaceServerMetadata(ctx, { serverId: idOf(req), items: req.body.metadata }),
    }),
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/metadata/{key}",
    operation: showServerMetadataItem,
    told: one("meta", textMap),
    handler: async (ctx, req) => {
      const items = (await showServerMetadataItem(ctx, { serverId: idOf(req) })).server.metadata
      const key = req.params.key ?? ""
      if (!Object.hasOwn(items, key)) throw metadataItemNotFound(key)
      return { meta: { [key]: items[key] } }
    },
  }),
  route({
    method: "PUT",
    path: "/servers/{server_id}/metadata/{key}",
    operation: updateServerMetadataItem,
    told: one("meta", textMap),
    body: metaItem,
    handler: async (ctx, req) => {
      if (!Object.hasOwn(req.body.meta, req.params.key ?? ""))
        throw badRequest("Request body and URI mismatch")
      await updateServerMetadataItem(ctx, { serverId: idOf(req), items: req.body.meta })
      return { meta: req.body.meta }
    },
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/metadata/{key}",
    operation: deleteServerMetadataItem,
    status: 204,
    handler: (ctx, req) => deleteServerMetadataItem(ctx, { serverId: idOf(req), key: req.params.key ?? "" }),
  }),
]

const addressRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/ips",
    operation: listServerAddresses,
    told: one("addresses", briefAddresses),
    handler: async (ctx, req) => {
      const { server, networking } = await listServerAddresses(ctx, { serverId: idOf(req) })
      return { addresses: viewAddresses(server, networking, false) }
    },
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/ips/{network_label}",
    operation: listServerAddressesOfNetwork,
    told: { answer: briefAddresses },
    handler: async (ctx, req) => {
      const { server, networking } = await listServerAddressesOfNetwork(ctx, { serverId: idOf(req) })
      const label = req.params.network_label ?? ""
      const found = viewAddresses(server, networking, false)[label]
      if (!found) throw networkNotOfServer()
      return { [label]: found }
    },
  }),
]

const shownInterface = view<ServerPort>("InterfaceAttachment", {
  ...{ net_id: [text, "networkId"], port_id: [text, "portId"], mac_addr: [text, "macAddress"] },
  port_state: [text, "status"],
  fixed_ips: [
    Type.Array(Type.Object({ subnet_id: text, ip_address: text })),
    ({ fixedIps }) => fixedIps.map((ip) => ({ subnet_id: ip.subnetId, ip_address: ip.ipAddress })),
  ],
  tag: [from("2.70", textOrNull), "tag"],
})

const attached = {
  net_id: uuid,
  port_id: uuid,
  fixed_ips: Type.Array(closed({ ip_address: ipAddress }, ["ip_address"]), { minItems: 1, maxItems: 1 }),
}
/** The body itself may be left out: the project's network is taken. */
const attachBody = versions({
  "2.1": closed({ interfaceAttachment: closed(attached) }),
  "2.49": closed({ interfaceAttachment: closed({ ...attached, tag }) }),
})

const interfaceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/os-interface",
    operation: listServerInterfaces,
    told: all("interfaceAttachments", shownInterface.shows),
    handler: async (ctx, req) => {
      const found = await listServerInterfaces(ctx, { serverId: idOf(req) })
      return { interfaceAttachments: found.map((each) => shownInterface.show(ctx, req, each)) }
    },
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/os-interface/{port_id}",
    operation: showServerInterface,
    told: one("interfaceAttachment", shownInterface.shows),
    handler: async (ctx, req) => ({
      interfaceAttachment: shownInterface.show(
        ctx,
        req,
        await showServerInterface(ctx, { serverId: idOf(req), portId: req.params.port_id ?? "" }),
      ),
    }),
  }),
  route({
    method: "POST",
    path: "/servers/{server_id}/os-interface",
    operation: attachInterface,
    told: one("interfaceAttachment", shownInterface.shows),
    body: attachBody,
    handler: async (ctx, req) => {
      const body = req.body?.interfaceAttachment ?? {}
      const fixedIp = body.fixed_ips?.[0]?.ip_address ?? null
      if (body.net_id && body.port_id) throw badRequest("Must not input both network_id and port_id")
      if (fixedIp !== null && !body.net_id) throw badRequest("Must input network_id when request IP address")
      const attached = await attachInterface(ctx, {
        serverId: idOf(req),
        networkId: body.net_id ?? null,
        portId: body.port_id ?? null,
        fixedIp,
        tag: body.tag ?? null,
      })
      return { interfaceAttachment: shownInterface.show(ctx, req, attached) }
    },
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/os-interface/{port_id}",
    operation: detachInterface,
    status: 202,
    handler: (ctx, req) => detachInterface(ctx, { serverId: idOf(req), portId: req.params.port_id ?? "" }),
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/os-security-groups",
    operation: listServerSecurityGroups,
    told: all("security_groups", shownGroup),
    alsoAsks: listSecurityGroups,
    handler: async (ctx, req) => {
      const groups = await listServerSecurityGroups(ctx, { serverId: idOf(req) })
      const names = await groupNames(
        ctx,
        groups.flatMap((group) => group.rules),
      )
      return { security_groups: groups.map((group) => viewGroup(group, names)) }
    },
  }),
]

const action: Table<ServerAction> = {
  ...{ action: [text, "action"], instance_uuid: [text, "serverId"], request_id: [text, "requestId"] },
  ...{ user_id: [text, "userId"], project_id: [text, "projectId"], start_time: [text, "startedAt"] },
  message: [textOrNull, "message"],
  updated_at: [from("2.58", text), "updatedAt"],
}
const listedAction = view("InstanceAction", action)

type Event = ShownAction["events"][number] & Pick<ShownAction, "projectId" | "maySeeEvents" | "maySeeDetails">
const event = view<Event>("InstanceActionEvent", {
  ...{ event: [text, "event"], start_time: [text, "startedAt"] },
  ...{ finish_time: [textOrNull, "finishedAt"], result: [textOrNull, "result"] },
  traceback: [rare(textOrNull), (event) => (event.maySeeEvents ? event.traceback : undefined)],
  host: [from("2.62", rare(textOrNull)), (event) => (event.maySeeEvents ? event.host : undefined)],
  hostId: [from("2.62", text), ({ projectId, host }) => hostIdOf(projectId, host)],
  details: [from("2.84", rare(textOrNull)), (event) => (event.maySeeDetails ? event.details : undefined)],
})
const shownAction = view<ServerAction & { shown: ShownAction }>("InstanceActionWithEvents", {
  ...action,
  events: [
    rare(many(event.shows)),
    ({ shown: { events, ...shown } }, ctx, asked) =>
      shown.maySeeEvents || atLeast(asked.version, "2.51")
        ? events.map((each) => event.show(ctx, asked, { ...shown, ...each }))
        : undefined,
  ],
})
const actionsSince: Since = [
  ["2.58", ["limit", "marker", "changes-since"]],
  ["2.66", ["changes-before"]],
]
const listed = { instanceActions: many(listedAction.shows), links: from("2.58", rare(links)) }

async function listActions(ctx: Ctx, req: WireRequest) {
  const isPaged = atLeast(req.version, "2.58")
  const ofVersion = (name: string, isThere: boolean) => (isThere ? queryText(req.query, name) : undefined)
  const { from: changesSince, until: changesBefore } = readPeriod(
    ofVersion("changes-since", isPaged),
    ofVersion("changes-before", atLeast(req.version, "2.66")),
  )
  const marked = readMarked(ctx, req, isPaged)
  const actions = await listServerActions(ctx, {
    serverId: idOf(req),
    withDeleted: atLeast(req.version, "2.21"),
    changesSince,
    changesBefore,
    ...marked,
  })
  const last = actions.at(-1)
  const hasNext = isPaged && actions.length === marked.limit && last !== undefined
  return {
    instanceActions: actions.map((action) => listedAction.show(ctx, req, action)),
    ...(hasNext && {
      links: [{ rel: "next", href: pageUrl(ctx.baseUrl, req.url, { marker: last.requestId }) }],
    }),
  }
}

const actionRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/os-instance-actions",
    operation: listServerActions,
    told: { ...toldQuery(actionsSince), answer: shape("InstanceActionPage", listed) },
    handler: listActions,
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/os-instance-actions/{request_id}",
    operation: showServerAction,
    told: one("instanceAction", shownAction.shows),
    handler: async (ctx, req) => {
      const shown = await showServerAction(ctx, {
        serverId: idOf(req),
        requestId: req.params.request_id ?? "",
        withDeleted: atLeast(req.version, "2.21"),
      })
      return { instanceAction: shownAction.show(ctx, req, { ...shown.action, shown }) }
    },
  }),
]

const otherRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/diagnostics",
    operation: getDiagnostics,
    told: { answer: diagnostics },
    handler: async (ctx, req) => {
      const diagnostics = await getDiagnostics(ctx, { serverId: idOf(req) })
      return atLeast(req.version, "2.48") ? viewDiagnostics(diagnostics) : viewDiagnosticsLegacy(diagnostics)
    },
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/topology",
    min: "2.78",
    operation: showServerTopology,
    told: { answer: serverTopology },
    handler: async (ctx, req) => viewTopology(await showServerTopology(ctx, { serverId: idOf(req) })),
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/os-server-password",
    operation: showGuestPassword,
    told: one("password", text),
    handler: async (ctx, req) => {
      return { password: await showGuestPassword(ctx, { serverId: idOf(req) }) }
    },
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/os-server-password",
    operation: clearGuestPassword,
    handler: (ctx, req) => clearGuestPassword(ctx, { serverId: idOf(req) }),
  }),
]

export const serverDetailRoutes: readonly Route[] = [
  ...metadataRoutes,
  ...addressRoutes,
  ...interfaceRoutes,
  ...actionRoutes,
  ...otherRoutes,
]
