import type { NetworkDriver, NetworkWant, ReconcileReport } from "../network-driver.ts"
import { told } from "../want.ts"

/** Makes the engine equal to `want` in one change. */
export async function tellAll(driver: NetworkDriver, want: NetworkWant): Promise<ReconcileReport> {
  const { follow, ...report } = await driver.change(async () => {
    const known = await driver.known()
    return { want, told: told((noun) => [...known[noun], ...want[noun].map((thing) => thing.id)]) }
  })
  return report
}
