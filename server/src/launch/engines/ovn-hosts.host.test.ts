// A cloud of three hosts on real engines, inside network namespaces made for it: nothing leaves this machine.
import { test } from "node:test"
import { tellStory, whySkipped } from "./ovn-story-teller.ts"

const skip = whySkipped(["/usr/bin/openssl"])

test("one network on three hosts", { skip, timeout: 800_000 }, async () => {
  await tellStory("ovn-hosts-story.ts", 790_000)
})
