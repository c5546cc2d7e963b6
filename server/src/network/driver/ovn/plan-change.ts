// From what is told and the rows that are to the operations between them.
import type { NetworkChange } from "../network-driver.ts"
import { nothing, told } from "../want.ts"
import { gatewayRows, gatewaysOwner } from "./gateways.ts"
import type { HaveIndex } from "./have-index.ts"
import { type PlanContext, type Planned, Planner } from "./plan.ts"
import { planNames } from "./plan-names.ts"
import { translate } from "./translate.ts"

export function planChange(change: NetworkChange, index: HaveIndex, context: PlanContext): Planned {
  const planner = new Planner(change, index, context)
  planner.write(translate(change, context))
  planner.removeRest()
  for (const row of planNames(change, index, context, planner)) planner.write([row])
  return planner.result()
}

/** The hosts of the gateways alone; without a router there is nothing that asks for them. */
export function planGateways(index: HaveIndex, context: PlanContext): Planned {
  const planner = new Planner({ want: nothing, told: told(() => []) }, index, context)
  if (index.count("Logical_Router") > 0) planner.write(gatewayRows(context))
  planner.removeOthersOf(gatewaysOwner)
  return planner.result()
}
