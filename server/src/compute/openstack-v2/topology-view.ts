import { Type } from "typebox"
import { count, countOrNull, shape } from "../../api/openstack/shape.ts"
import { mapOf } from "../../platform/schema/make.ts"
import type { ServerTopology } from "../index.ts"

const numbers = Type.Array(count)

export const serverTopology = shape("ServerTopology", {
  nodes: Type.Array(
    Type.Object({
      memory_mb: count,
      vcpu_set: numbers,
      siblings: Type.Array(numbers),
      cpu_pinning: Type.Optional(mapOf(count)),
    }),
  ),
  pagesize_kb: countOrNull,
})

/** `host_node`, which is optional, is left out: a guest's cells are bound to none of the host's. */
export function viewTopology({ nodes, pageSizeKib }: ServerTopology) {
  return {
    nodes: nodes.map(({ cpus, memoryMib, siblings, pins }) => ({
      ...{ memory_mb: memoryMib, vcpu_set: cpus, siblings },
      ...(pins && { cpu_pinning: pins }),
    })),
    pagesize_kb: pageSizeKib,
  }
}
