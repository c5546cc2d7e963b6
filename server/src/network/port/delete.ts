import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { networkNotFound, portNotFound, revisionMismatch, servicePortInUse } from "../faults.ts"
import { releaseFloatingIpsOf } from "../floating-ip/release.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, RevisionInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { isReservedOwner, portTarget } from "./port.ts"
import { loadPort } from "./read.ts"
import { refreshServicePort, servicePortOwner } from "./service-port.ts"

export const deletePort = operation({
  name: "network.port.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [portNotFound, servicePortInUse, revisionMismatch],
  load: (ctx, { id }) => loadPort(ctx.db, id, viewerOf(ctx)),
  rule: "delete_port",
  target: (_ctx, _input, port) => portTarget(port),
  run: async (ctx, { id: portId, expectedRevision }, port) => {
    const isServicePort = port.deviceOwner === servicePortOwner
    if (isReservedOwner(port.deviceOwner) && !isServicePort)
      throw servicePortInUse(portId, `has device owner ${port.deviceOwner}`)
    await change(ctx, async (tx) => {
      if (isServicePort) await lockRow(tx, "network", port.networkId, networkNotFound)
      await lockRow(tx, "port", portId, portNotFound, expectedRevision)
      await removePort(tx, portId)
      // Who clears a network away deletes what is listed; while the network needs it there is another one at once.
      if (isServicePort) await refreshServicePort(ctx, tx, port.networkId)
      await notify(ctx, tx, "port", "delete", [port])
    })
  },
})

/** The row with all that hangs on it. Floating IPs that pointed at it point at nothing. */
export async function removePort(tx: Tx, portId: string): Promise<void> {
  await releaseFloatingIpsOf(tx, portId)
  await sql`delete from network.port where id = ${portId}`.execute(tx)
}
