// Package history judges a service by what the two sides of it have seen.
//
// [Run] lets employees and agents talk through a running service, between both emulators and under faults, kills and
// restarts. Each test message carries its conversation, its direction and its number (a [Mark]). A [Record] keeps what
// the emulators saw: what was offered and answered, shown, told, ticked, begun and ended. [Check] is pure and finds in
// it every promise that was broken. Nothing is read from the service itself but one number: the metric in which it
// counts the repeats that it could not rule out.
//
// # What is promised
//
// A message counts as accepted from our 2xx on. Accepted words are shown on the other side, or their writer is told that
// they were not delivered. They are shown in the order in which they were accepted. They are shown twice only after a
// send whose outcome was unclear, or for one send a lane after a kill, and the service's metric covers all of
// that. Nothing is shown after the end of its session, every session ends on both sides, and each message of an agent gets
// its tick or its "Failed".
//
// # What is not a loss
//
// A post that the network lost before our 2xx: its sender sees it, and Teams repeats it while ServiceNow does not. Words
// that were not yet accepted when their session began to end. Words held for an agent who never joined: they are dropped by a
// cancellation, and otherwise offered in a ticket. Words that reached an instance that had closed the chat already, since it
// answers 200 to those too. For the same reason an instance that answers 200 and does nothing is no part of the faults: nobody could tell.
//
// # Running it
//
// go test runs it briefly against the real binary, in package cmd/snowbot, with fixed seeds and a random one, which is printed. There
// the process is killed at random moments and at each point of a commit, drained, and given a slow, a full and a broken disk. Whoever
// has the binary can run it for as long as they like:
//
//	go test ./cmd/snowbot -run TestServiceKeepsItsPromises -history.seed 42
//	snowbot bench --check --messages 1000000 --talks 300
//
// The seed fixes the script, the faults and, in accepted messages, the moments of the kills. The scheduler is not replayed.
package history
