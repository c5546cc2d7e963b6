// Ports of a floating IP that lead to ports of inner addresses.
import { sql } from "kysely"
import { Type } from "typebox"
import { address, integer, nullable, text, time, uuid, word } from "../../platform/noun/field.ts"
import { type Changes, type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import { portForwardingNotFound } from "../faults.ts"
import type { Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

/** What the network's engine forwards. */
export const forwardedProtocols = ["tcp", "udp"] as const

const given = { create: true, update: true } as const
const listed = { filter: true, sort: true } as const
/** `8080`, or `8080:8090`. */
const RangeInput = Type.String({ maxLength: 11, pattern: "^[0-9]{1,5}(:[0-9]{1,5})?$" })
const Port = Type.Union([Type.Integer({ minimum: 1, maximum: 65_535 }), Type.Null()])

export const portForwardingNoun = noun({
  name: "network.port_forwarding",
  table: sql`network.port_forwarding`,
  alias: "w",
  fields: {
    id: uuid(sql`w.id`, listed),
    projectId: text(sql`w.project_id`, { internal: true }),
    floatingIpId: uuid(sql`w.floating_ip_id`, { internal: true, filter: true }),
    createdAt: time(sql`w.created_at`, { internal: true }),
    protocol: word(forwardedProtocols, sql`w.protocol`, { create: "required", update: true, ...listed }),
    internalPortId: uuid(sql`w.internal_port_id`, { create: "required", update: true, ...listed }),
    internalIpAddress: address(sql`w.internal_ip_address`, given),
    internalPort: nullable(
      integer(sql`case when w.internal_port_first = w.internal_port_last then w.internal_port_first end`, {
        input: Port,
        ...given,
      }),
    ),
    internalPortRange: text(sql`w.internal_port_first || ':' || w.internal_port_last`, {
      input: RangeInput,
      ...given,
    }),
    externalPort: nullable(
      integer(sql`case when w.external_port_first = w.external_port_last then w.external_port_first end`, {
        input: Port,
        ...given,
        ...listed,
      }),
    ),
    externalPortRange: text(sql`w.external_port_first || ':' || w.external_port_last`, {
      input: RangeInput,
      ...given,
      filter: true,
    }),
    description: text(sql`w.description`, { ...given, ...listed }),
  },
  visible: (viewer: Viewer) => visibleTo(viewer, { owner: sql`w.project_id` }),
  notFound: portForwardingNotFound,
})

export type PortForwarding = Thing<typeof portForwardingNoun>
export type PortForwardingInput = Create<typeof portForwardingNoun>
export type PortForwardingChanges = Changes<typeof portForwardingNoun>

/** Some ports, one after the other. */
export interface PortRange {
  first: number
  last: number
}
