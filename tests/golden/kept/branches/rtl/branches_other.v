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
  wire [6:0] t5_c = {2'd0, b_x0_r1} - {t4[5], t4};
  wire [6:0] t5 = {t5_c[6:1], b_x0_r1[0] ^ t4[0]};
  wire [5:0] t6_c = {3'd0, b_x1_r1[4:2]} + {1'd0, b_x2_r1};
  wire [7:0] t6 = {t6_c, b_x1_r1[1:0]};
  wire [4:0] t8_c = {3'd0, b_x0_r1[4:3]} + 5'd15;
  wire [7:0] t8 = {t8_c, b_x0_r1[2:0]};
  wire [7:0] t9_c = {t5[6], t5} + {1'd0, t8[7:1]};
  wire [8:0] t9 = {t9_c[7:1], t5[0] ^ t8[1], t8[0]};
  wire [5:0] t10_c = {1'd0, b_x3_r1} + {1'd0, t6[7:3]};
  wire [8:0] t10 = {t10_c[5:1], b_x3_r1[0] ^ t6[3], t6[2:0]};
  wire [9:0] t11_c = {1'd0, t9} - {1'd0, t10};
  wire [9:0] t11 = {t11_c[9:1], t9[0] ^ t10[0]};
  reg [9:0] t11_r1;
  wire [6:0] t13_c = {t4[5], t4} - {2'd0, b_x1_r1};
  wire [6:0] t13 = {t13_c[6:1], t4[0] ^ b_x1_r1[0]};
  wire [4:0] t14_c = {t13[6], t13[6:3]} + 5'd27;
  wire [7:0] t14 = {t14_c, t13[2:0]};
  wire [7:0] t15_c = {t14[7], t14[7:1]} - {t5[6], t5};
  wire [8:0] t15 = {t15_c[7:1], t14[1] ^ t5[0], t14[0]};
  reg [8:0] t15_r1;
  wire [4:0] t17_c = t6[7:3] + 5'd7;
  wire [7:0] t17 = {t17_c, t6[2:0]};
  wire [5:0] t18_c = {1'd0, t17[7:3]} - {1'd0, b_x0_r1};
  wire [8:0] t18 = {t18_c[5:1], t17[3] ^ b_x0_r1[0], t17[2:0]};
  reg [8:0] t18_r1;
  assign result = {t18_r1, t15_r1, t11_r1};

  always @(posedge clk) begin
    t11_r1 <= t11;
    t15_r1 <= t15;
    t18_r1 <= t18;
  end

endmodule
