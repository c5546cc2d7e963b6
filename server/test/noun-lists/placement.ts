import type { NounFixture } from "./fixture.ts"

export const placementNouns: readonly NounFixture[] = []
