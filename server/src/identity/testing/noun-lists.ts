import type { NounFixture } from "../../../test/noun-lists/fixture.ts"

export const nounLists: readonly NounFixture[] = []
