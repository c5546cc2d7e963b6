import { sql } from "kysely"
import { Type } from "typebox"
import { violatedConstraint } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { revisionMismatch, subnetInUse, subnetNotFound } from "../faults.ts"
import { refreshServicePort } from "../port/service-port.ts"
import { notify } from "../resource/notify.ts"
import { bumpRevision, change, lockRow, RevisionInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { loadSubnet } from "./read.ts"
import { subnetTarget } from "./subnet.ts"

export const deleteSubnet = operation({
  name: "network.subnet.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [subnetNotFound, subnetInUse, revisionMismatch],
  load: (ctx, { id }) => loadSubnet(ctx.db, id, viewerOf(ctx)),
  rule: "delete_subnet",
  target: (_ctx, _input, subnet) => subnetTarget(subnet),
  run: async (ctx, { id: subnetId, expectedRevision }, subnet) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "subnet", subnetId, subnetNotFound, expectedRevision)
        // Addresses that machines gave themselves, and our own service address, are no use of the subnet.
        const isAuto = subnet.ipv6AddressMode === "slaac" || subnet.ipv6AddressMode === "dhcpv6-stateless"
        const freed = await sql<{ id: string }>`delete from network.ip_allocation a using network.port p
          where p.id = a.port_id and a.subnet_id = ${subnetId}
            and (p.device_owner = 'network:distributed' or (${isAuto} and p.device_owner not like 'network:router%'))
          returning p.id`.execute(tx)
        noteChanged(tx, { ports: freed.rows.map((row) => row.id) })
        const { rows } =
          await sql`select from network.ip_allocation where subnet_id = ${subnetId} limit 1`.execute(tx)
        if (rows.length > 0) throw subnetInUse(subnetId)
        await sql`delete from network.subnet where id = ${subnetId}`.execute(tx)
        await notify(ctx, tx, "subnet", "delete", [subnet])
        await bumpRevision(tx, "network", [subnet.networkId])
        await refreshServicePort(ctx, tx, subnet.networkId)
      })
    } catch (error) {
      if (violatedConstraint(error)) throw subnetInUse(subnetId)
      throw error
    }
  },
})
