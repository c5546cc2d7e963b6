// Hosts on other machines: who may join, and the door through which they speak to the cloud.
export { ensureHostAuthority, hasHostAuthority } from "./authority.ts"
export type { DoorAnswer, DoorOptions, HostDoor } from "./door/door.ts"
export { openHostDoor } from "./door/open.ts"
export { headerOf, sendJson } from "./door/reply.ts"
export {
  badDoorRequest,
  doorBusy,
  hostAddressKind,
  hostAddressLocal,
  hostAddressTaken,
  hostMissing,
  hostNameTaken,
  hostNotJoined,
} from "./faults.ts"
export { admitOwnHost } from "./member/join.ts"
export { type Member, selectMember, selectMembers } from "./member/member.ts"
export { issueJoinToken, type TokenWish } from "./token/join-token.ts"
