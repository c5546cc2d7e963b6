import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import { planSubnetAddresses } from "./plan.ts"

const four = { ipVersion: 4, cidr: "10.0.0.0/24", enableDhcp: true }
const six = { ipVersion: 6, cidr: "2001:db8::/64", enableDhcp: true }

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return "none"
}

test("the first address is the gateway and the rest is the pool", () => {
  assert.deepEqual(planSubnetAddresses(four), {
    ipVersion: 4,
    cidr: "10.0.0.0/24",
    gatewayIp: "10.0.0.1",
    pools: [{ start: "10.0.0.2", end: "10.0.0.254" }],
  })
  assert.deepEqual(planSubnetAddresses({ ...four, gatewayIp: "10.0.0.100" }).pools, [
    { start: "10.0.0.1", end: "10.0.0.99" },
    { start: "10.0.0.101", end: "10.0.0.254" },
  ])
  assert.deepEqual(planSubnetAddresses({ ...four, gatewayIp: null }).pools, [
    { start: "10.0.0.1", end: "10.0.0.254" },
  ])
  // A gateway beyond the subnet is reached by a route of the link.
  assert.equal(planSubnetAddresses({ ...four, gatewayIp: "192.0.2.1" }).gatewayIp, "192.0.2.1")
  assert.equal(planSubnetAddresses(six).gatewayIp, "2001:db8::1")
  assert.equal(planSubnetAddresses({ ...four, cidr: "10.0.0.77/24" }).cidr, "10.0.0.0/24")
})

test("pools stay within the subnet, apart from each other and from the gateway", () => {
  const pools = (...allocationPools: { start: string; end: string }[]) => ({ ...four, allocationPools })
  const pool = (start: string, end: string) => ({ start, end })
  assert.deepEqual(
    planSubnetAddresses(pools(pool("10.0.0.50", "10.0.0.60"), pool("10.0.0.5", "10.0.0.9"))).pools,
    [pool("10.0.0.5", "10.0.0.9"), pool("10.0.0.50", "10.0.0.60")],
  )
  const cases: [ReturnType<typeof pools>, string][] = [
    [pools(pool("10.0.0.9", "10.0.0.5")), "network.allocation_pool.invalid"],
    [pools(pool("10.0.0.9", "2001:db8::1")), "network.allocation_pool.invalid"],
    [pools(pool("10.0.0.250", "10.0.0.255")), "network.allocation_pool.out_of_bounds"],
    [pools(pool("10.0.0.5", "10.0.0.9"), pool("10.0.0.9", "10.0.0.12")), "network.allocation_pool.overlap"],
    [pools(pool("10.0.0.1", "10.0.0.9")), "network.subnet.gateway_in_pool"],
  ]
  for (const [request, code] of cases)
    assert.equal(
      codeOf(() => planSubnetAddresses(request)),
      code,
    )
})

test("what cannot be a subnet is refused", () => {
  const wrong = [
    { ...four, cidr: "10.0.0.0/33" },
    { ...four, cidr: "127.0.0.0/8" },
    { ...four, cidr: "224.0.0.0/24" },
    { ...four, cidr: "10.0.0.0/31" },
    { ...four, ipVersion: 6 },
    { ...four, gatewayIp: "10.0.0.255" },
    { ...four, ipv6RaMode: "slaac" as const },
    { ...six, cidr: "2001:db8::/56", ipv6AddressMode: "slaac" as const },
    { ...six, ipv6AddressMode: "slaac" as const, ipv6RaMode: "dhcpv6-stateful" as const },
    { ...six, ipv6AddressMode: "slaac" as const, enableDhcp: false },
  ]
  for (const request of wrong)
    assert.equal(
      codeOf(() => planSubnetAddresses(request)),
      "network.invalid_input",
      JSON.stringify(request),
    )
  assert.equal(planSubnetAddresses({ ...four, cidr: "10.0.0.0/31", enableDhcp: false }).gatewayIp, "10.0.0.0")
})
