import { fault } from "../platform/fault/fault.ts"

export const joinTokenUnusable = fault(
  "forbidden",
  "host.token.unusable",
  () =>
    "The token is wrong, was used, or is over. Make another one on the cloud's first host: ./kumoi host token",
)
export const hostNameTaken = fault(
  "conflict",
  "host.name.taken",
  (name: string) => `There is a host ${name} already. Join under another name: --name NAME`,
)
export const hostNameOther = fault(
  "forbidden",
  "host.name.other",
  (name: string) => `The token is for a host named ${name}.`,
)
export const hostAddressUnseen = fault(
  "forbidden",
  "host.address.unseen",
  (address: string, from: string) =>
    `\`address\`: the host says that others reach it at ${address}, and it comes from ${from}. ` +
    `If that is right, make a token for it: ./kumoi host token --address ${address}`,
)
export const hostAddressOther = fault(
  "forbidden",
  "host.address.other",
  (address: string) => `\`address\`: the token is for a host at ${address}; join with --address ${address}`,
)
export const hostAddressLocal = fault(
  "invalid",
  "host.address.local",
  (address: string) =>
    `--address ${address}: no other machine reaches a host there. Use the address at which the other hosts reach the new one.`,
)
export const hostAddressTaken = fault(
  "conflict",
  "host.address.taken",
  (address: string) => `\`address\`: another host of the cloud has ${address}.`,
)
export const hostAddressKind = fault(
  "unsupported",
  "host.address.not_ipv4",
  (address: string) =>
    `\`address\`: networks reach over hosts by IPv4, and ${address} is none. ` +
    "Start the cloud with an IPv4 address that the others reach: ./kumoi up --listen ADDRESS",
)
/** Certificates and tickets are of a time. */
export const hostClockWrong = fault(
  "precondition",
  "host.clock.wrong",
  (offMs: number) =>
    `The host's clock is ${Math.round(Math.abs(offMs) / 60_000)} minutes ${offMs < 0 ? "behind" : "ahead of"} the cloud's. Set it, then join again.`,
)
export const hostTokenControl = fault("forbidden", "host.token.control", (isControl: boolean) =>
  isControl
    ? "The token is for a control host: ./kumoi up --join URL TOKEN --control"
    : "The token is for a host that runs machines. A control host needs another one: ./kumoi host token --control",
)
export const hostNoControl = fault(
  "forbidden",
  "host.member.no_control",
  (name: string) => `${name} is no control host of the cloud.`,
)
export const hostUnknown = fault(
  "forbidden",
  "host.member.unknown",
  () => "This host is none of the cloud's: it was removed, or has never joined.",
)
export const hostMayNot = fault(
  "forbidden",
  "host.member.may_not",
  (name: string, what: string) => `The host ${name} may not ${what}.`,
)
export const hostTooOften = fault(
  "rate_limited",
  "host.member.too_often",
  (name: string) => `The host ${name} says too much at once.`,
)
export const hostMissing = fault(
  "not_found",
  "host.member.not_found",
  (name: string) => `There is no host ${name}.`,
)
export const hostNotJoined = fault(
  "conflict",
  "host.member.not_joined",
  (name: string) =>
    `${name} never joined: it is the host whose control plane works, which stays, or a simulated one (./kumoi fleet remove).`,
)
export const requestUnusable = fault(
  "invalid",
  "host.certificate.request",
  () => "`request` must be a certificate request (PKCS #10, PEM).",
)
export const badDoorRequest = fault("invalid", "host.door.bad_request", (why: string) => why)
export const doorBusy = fault(
  "unavailable",
  "host.door.busy",
  (most: number) => `No more than ${most} bodies of one host are taken at a time; send it again in a moment.`,
)
export const notAtTheDoor = fault(
  "not_found",
  "host.door.not_found",
  (what: string) => `There is no ${what} here.`,
)
export const doorPortTaken = fault(
  "conflict",
  "host.door.port_taken",
  (port: number) => `Port ${port}, at which hosts join, is taken by another program. Choose one: hosts.port`,
)
