import type { NounFixture } from "./fixture.ts"

export const identityNouns: readonly NounFixture[] = []
