import type { ForeignConnection } from "../index.ts"

/** As os-brick wants it. */
export function viewConnection({
  volume: { id, isReadOnly },
  connection: { kind, portal, target, lun, user, secret, isEncrypted },
}: {
  volume: { id: string; isReadOnly: boolean | null }
  connection: ForeignConnection["connection"]
}) {
  return {
    driver_volume_type: kind,
    data: {
      ...{ volume_id: id, target_discovered: false },
      ...{ target_portal: portal, target_iqn: target, target_lun: lun },
      ...{ auth_method: "CHAP", auth_username: user, auth_password: secret },
      ...{ access_mode: isReadOnly ? "ro" : "rw", encrypted: isEncrypted },
      ...{ qos_specs: null, discard: true },
    },
  }
}
