// What a host that was taken over may say in the network's database: real engines, inside network namespaces.
import { test } from "node:test"
import { tellStory, whySkipped } from "./ovn-story-teller.ts"

const skip = whySkipped(["/usr/bin/openssl"])

test("a host that lies to the network's database", { skip, timeout: 400_000 }, async () => {
  await tellStory("ovn-hosts-attack-story.ts", 390_000)
})
