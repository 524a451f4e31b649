"""Plans, group geometry, storage formats and the integer grid."""
