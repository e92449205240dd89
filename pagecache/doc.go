// Package pagecache is the floor between the engine's files and the kernel's page cache: the
// file-system seam (FS, File), reference-counted open files that responses in flight may hold,
// append with space reserved ahead, write-behind, residency probes, prefetch and sync.
//
// It knows files and bytes only. What the bytes mean is wire's and engine/partition's business.
package pagecache
