import type { NetworkWant } from "../network-driver.ts"
import { type RouterContext, routerRows } from "./router.ts"
import type { DesiredRow } from "./row.ts"
import { securityGroupRows } from "./security-group.ts"
import { switchRows } from "./switch.ts"

/** All rows that OVN's northbound database shall hold for this want. */
export function translate(want: NetworkWant, context: RouterContext & { cloudId: string }): DesiredRow[] {
  return [
    ...switchRows(want),
    ...routerRows(want, context),
    ...securityGroupRows(want.securityGroups, want.ports, context.cloudId),
  ]
}
