// What a pool is said to be, in the words in which Cinder's volume types ask for it.
import type { Pool } from "./pool.ts"

export function capabilitiesOf({
  backend,
  abilities,
}: Pick<Pool, "backend" | "abilities">): Record<string, string> {
  return {
    volume_backend_name: backend,
    vendor_name: "Kumoi",
    driver_version: "1",
    storage_protocol: abilities.protocol ?? backend,
    thin_provisioning_support: pythonBoolean(abilities.thinProvisioning),
    thick_provisioning_support: pythonBoolean(!abilities.thinProvisioning),
    online_extend_support: pythonBoolean(abilities.onlineExtend),
    consistent_group_snapshot_enabled: pythonBoolean(abilities.consistentGroups === true),
    QoS_support: "False",
    multiattach: pythonBoolean(abilities.multiAttach === true),
  }
}

/**
 * Specs with a scope of their own are for others, `capabilities:` is ours; all others must be as the pool says. `<is> X`
 * and `<in> X` are Cinder's operators for truth and for a part of a text.
 */
export function fitsExtraSpecs(
  pool: Pick<Pool, "backend" | "abilities">,
  specs: Readonly<Record<string, string>>,
): boolean {
  const capabilities = capabilitiesOf(pool)
  return Object.entries(specs).every(([key, wanted]) => {
    const [scope, name] = key.includes(":") ? key.split(":", 2) : ["capabilities", key]
    if (scope !== "capabilities" || name === undefined) return true
    const has = capabilities[name]
    return has !== undefined && fits(has, wanted)
  })
}

function fits(has: string, wanted: string): boolean {
  const [, operator, operand = ""] = /^(<is>|<in>|s==)\s*(.*)$/s.exec(wanted) ?? []
  if (operator === "<is>") return has.toLowerCase() === operand.toLowerCase()
  if (operator === "<in>") return has.includes(operand)
  return has === (operator === "s==" ? operand : wanted)
}

const pythonBoolean = (value: boolean) => (value ? "True" : "False")
