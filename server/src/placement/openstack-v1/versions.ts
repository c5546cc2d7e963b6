import type { MicroversionPlan } from "../../platform/http/microversion.ts"

export const microversions: MicroversionPlan = { serviceType: "placement", min: "1.0", max: "1.39" }
