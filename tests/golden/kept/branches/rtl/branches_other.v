// matvec `other` of branches
module branches_other (
  input  wire clk,
  input  wire [19:0] from_b,
  output wire [27:0] result);

  wire [4:0] b_x0_r1 = from_b[4:0];
  wire [4:0] b_x1_r1 = from_b[9:5];
  wire [4:0] b_x2_r1 = from_b[14:10];
  wire [4:0] b_x3_r1 = from_b[19:15];
  wire [5:0] t4 = {1'd0, b_x2_r1} - {1'd0, b_x3_r1};
  wire [5:0] t5 = {1'd0, b_x2_r1} + {1'd0, b_x3_r1};
  wire [6:0] t6_c = {3'd0, b_x0_r1[4:1]} - {1'd0, t5};
  wire [7:0] t6 = {t6_c[6:1], b_x0_r1[1] ^ t5[0], b_x0_r1[0]};
  wire [8:0] t8_c = {t6[7], t6} - {4'd0, b_x1_r1};
  wire [8:0] t8 = {t8_c[8:1], t6[0] ^ b_x1_r1[0]};
  wire [5:0] t9_c = t6[7:2] + 6'd15;
  wire [7:0] t9 = {t9_c, t6[1:0]};
  wire [8:0] t10_c = {t8[8], t8[8:1]} + {t9[7], t9};
  wire [9:0] t10 = {t10_c[8:1], t8[1] ^ t9[0], t8[0]};
  reg [9:0] t10_r1;
  wire [6:0] t12_c = {t4[5], t4} - {2'd0, b_x1_r1};
  wire [6:0] t12 = {t12_c[6:1], t4[0] ^ b_x1_r1[0]};
  wire [4:0] t13_c = {t12[6], t12[6:3]} + 5'd27;
  wire [7:0] t13 = {t13_c, t12[2:0]};
  wire [6:0] t14_c = {t4[5], t4} - {2'd0, b_x0_r1};
  wire [6:0] t14 = {t14_c[6:1], t4[0] ^ b_x0_r1[0]};
  wire [7:0] t15_c = {t13[7], t13[7:1]} + {t14[6], t14};
  wire [8:0] t15 = {t15_c[7:1], t13[1] ^ t14[0], t13[0]};
  reg [8:0] t15_r1;
  wire [3:0] t17_c = {2'd0, b_x1_r1[4:3]} + 4'd7;
  wire [6:0] t17 = {t17_c, b_x1_r1[2:0]};
  wire [5:0] t18_c = {1'd0, b_x2_r1} + {1'd0, t17[6:2]};
  wire [7:0] t18 = {t18_c[5:1], b_x2_r1[0] ^ t17[2], t17[1:0]};
  wire [5:0] t19_c = {1'd0, t18[7:3]} - {1'd0, b_x0_r1};
  wire [8:0] t19 = {t19_c[5:1], t18[3] ^ b_x0_r1[0], t18[2:0]};
  reg [8:0] t19_r1;
  assign result = {t19_r1, t15_r1, t10_r1};

  always @(posedge clk) begin
    t10_r1 <= t10;
    t15_r1 <= t15;
    t19_r1 <= t19;
  end

endmodule
