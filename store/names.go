package store

import (
	"encoding/hex"
	"strconv"
)

// Logical names of sealed values. They are the same in every store, so that sealed values can be
// copied from one to another, and stay valid when a delivery changes its lane or becomes a dead letter.
// Ids hold no NUL bytes, which therefore part them.

// RecordName is the name of Record.Data.
func RecordName(conversation string) string { return "record\x00" + conversation }

// DeliveryName is the name of Delivery.Body, in a lane and in a dead letter.
func DeliveryName(conversation, id string) string {
	return "delivery\x00" + conversation + "\x00" + id
}

// LineName is the name of Line.Data of the conversation's n-th line, counted from 1 over its life.
func LineName(conversation string, n uint64) string {
	return "line\x00" + conversation + "\x00" + strconv.FormatUint(n, 10)
}

// FileName is the name of a file's head: its name, its content type, the size of its data and the mark of its parts.
func FileName(id string) string { return "file\x00" + id }

// FilePartName is the name of the n-th part, from 0, of the data that has a mark.
func FilePartName(mark FileMark, n int) string {
	return "file part\x00" + hex.EncodeToString(mark[:]) + "\x00" + strconv.Itoa(n)
}

// MaskName is the name of the key behind [Store.Mask].
func MaskName() string { return "mask" }

// CheckName is the name of the value by which a store recognises its keys at the start.
func CheckName() string { return "check" }
