// The whole network path on real engines, inside a network namespace made for it: nothing leaves this machine.
import { test } from "node:test"
import { tellStory, whySkipped } from "./ovn-story-teller.ts"

const skip = whySkipped()

test("networks, guests, metadata and recovery on OVN", { skip, timeout: 600_000 }, async () => {
  await tellStory("ovn-story.ts", 590_000)
})

test("fragments and shared addresses on OVN", { skip, timeout: 600_000 }, async () => {
  await tellStory("ovn-traffic-story.ts", 590_000)
})

test("limits of QoS policies on OVN", { skip, timeout: 600_000 }, async () => {
  await tellStory("ovn-qos-story.ts", 590_000)
})
