import type { MicroversionPlan } from "../../platform/http/microversion.ts"

export const plan: MicroversionPlan = { serviceType: "placement", min: "1.0", max: "1.39" }
