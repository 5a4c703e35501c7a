package bolt_test

const childVar = "SNOWBOT_BOLT_TEST_CHILD"

func child(string) int { return 0 }
