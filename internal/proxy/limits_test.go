package proxy

// heldBytes is client_buffer's default.
const heldBytes = 1 << 20
