// Package txn is the transaction coordinator (KIP-98, KIP-360, KIP-890) as a pure machine: it
// implements coordinator.Machine over one partition of __transaction_state.
package txn
