// What a request names may be deleted by another one while it goes on: the foreign keys find that out.
import pg from "pg"
import type { Fault } from "../../platform/fault/fault.ts"
import {
  addressGroupNotFound,
  addressScopeNotFound,
  networkNotFound,
  portNotFound,
  routerNotFound,
  securityGroupNotFound,
  subnetNotFound,
  subnetPoolNotFound,
} from "../faults.ts"
import { qosPolicyNotFound } from "../qos/faults.ts"

const notFound: Readonly<Record<string, (id: string) => Fault>> = {
  network: networkNotFound,
  subnet: subnetNotFound,
  port: portNotFound,
  router: routerNotFound,
  security_group: securityGroupNotFound,
  address_group: addressGroupNotFound,
  address_scope: addressScopeNotFound,
  subnet_pool: subnetPoolNotFound,
  qos_policy: qosPolicyNotFound,
}

const missingKey = /^Key \((\w+)\)=\((.+)\) is not present in table "(\w+)"\.$/

/** The fault for a row that names what another transaction has deleted; undefined for every other error. */
export function goneFault(error: unknown): Fault | undefined {
  if (!(error instanceof pg.DatabaseError) || error.code !== "23503") return undefined
  const [, , id = "", table = ""] = missingKey.exec(error.detail ?? "") ?? []
  return notFound[table]?.(id)
}

/**
 * Runs a transaction once more when what it read was deleted under it: then it sees that, and says so or does without.
 * What was looked at before the transaction is not looked at again; then the foreign key's word counts.
 */
export async function againWhenGone<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!goneFault(error)) throw error
  }
  try {
    return await run()
  } catch (error) {
    throw goneFault(error) ?? error
  }
}
