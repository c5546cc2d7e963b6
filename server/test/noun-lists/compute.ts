import type { NounFixture } from "./fixture.ts"

export const computeNouns: readonly NounFixture[] = []
